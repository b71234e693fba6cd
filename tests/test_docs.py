"""What the documents say is so: their examples work, their commands exist, their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from ruamel.yaml import YAML

import lockgate
from lockgate.access.grant import Grant
from lockgate.cli import app
from lockgate.config import Config, RuleConfig, load_config
from lockgate.policies.pack import pack, pack_names
from lockgate.policies.registry import BUILT_IN, load_policy, load_rules

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
OTHERS = [
    *(ROOT / name for name in ("pyproject.toml", "requirements.txt", "justfile", "Dockerfile", ".ci/run")),
    *ROOT.glob("deploy/*.*"),
    *ROOT.glob("docs/parts/*"),
]
REGISTRIES = r"p[y]pi\.org|pythonho[s]ted|npm[j]s\.|registry\.|/simple\b"
MACHINES = r"(?<![\w.$}])/(?:work|root|home/\w+|Users|tmp)/"

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(language: str, *documents: Path) -> list[str]:
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [block for document in documents for block in fence.findall(document.read_text("utf-8"))]


def commands() -> set[tuple[str, ...]]:
    """The commands of Lockgate that any document names, as their words and flags."""
    found: set[tuple[str, ...]] = set()
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *blocks("sh", document)])
        for line in re.findall(r"(?:^|[\s(\"])lockgate +([a-z-][^`\n)|;]*)", code, re.MULTILINE):
            found.add(tuple(re.findall(r"^[a-z][a-z-]*|(?<= )[a-z][a-z-]*|--[a-z-]+", line.partition(" -- ")[0])))
    return {words for words in found if words}


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def configuration_of(example: str) -> dict[str, Any]:
    """An example is a whole file, the rules of one, or a grant."""
    document = YAML(typ="safe", pure=True).load(example)
    return {"rules": document} if isinstance(document, list) else document


def test_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) < 150


def test_generated_pages_are_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", blocks("yaml", *DOCUMENTS), ids=lambda example: example[:40].split()[-1])
def test_examples_are_valid(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "judge.key").write_text("secret")
    monkeypatch.chdir(tmp_path)
    if {"allow", "budgets"} & (document := configuration_of(example)).keys():
        assert Grant.model_validate(document).model_fields_set
        return
    config = Config.model_validate({"home": tmp_path, **document})
    assert load_rules(config.rules).rules


def test_the_first_example_blocks_touch(tmp_path: Path) -> None:
    file = tmp_path / "lockgate.yaml"
    file.write_text(blocks("yaml", ROOT / "README.md")[0])
    (rule,) = load_rules(load_config(file).rules).rules
    (entry,) = rule.options.deny
    call = lockgate.ToolCall(block=0, id="1", name="Bash", arguments='{"command": "touch marker"}')
    assert entry.holds(call)
    assert rule.mode == "enforce"


def test_the_policy_that_is_written_out_can_be_used(tmp_path: Path) -> None:
    (example,) = (block for block in blocks("python", ROOT / "docs" / "policies.md") if "class Polite" in block)
    file = tmp_path / "polite.py"
    file.write_text(example)
    (rule,) = load_rules([RuleConfig.model_validate({"name": "polite", "use": f"{file}:Polite"})]).rules
    assert rule.options.calls == 20


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_commands_exist(words: tuple[str, ...]) -> None:
    found: App = app
    flags = [word for word in words if word.startswith("--")]
    for word in (word for word in words if not word.startswith("--")):
        if found.default_command is not None and word not in found:
            break  # what follows a command are its arguments
        assert word in found, f"lockgate {' '.join(words)}"
        found = found[word]
    arguments = found.assemble_argument_collection() if found.default_command else ()
    known = {name for argument in arguments for name in argument.names}
    assert set(flags) <= known | set(app.version_flags)


def test_every_command_is_documented() -> None:
    readme = text_of("README.md") + text_of("docs/policies.md") + text_of("docs/configuration.md")
    names = [name for name in app if not name.startswith("-")]
    assert [name for name in names if f"lockgate {name}" not in readme] == []


def test_every_public_name_is_documented() -> None:
    page = text_of("docs/policies.md")
    undocumented = [name for name in lockgate.__all__ if not re.search(rf"^\| `{name}\b[^|]*\| \S", page, re.MULTILINE)]
    assert undocumented == []


def test_every_built_in_policy_is_documented() -> None:
    page = text_of("docs/policies.md")
    for name in BUILT_IN:
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        options = load_policy(name).Options.model_fields
        assert section
        assert [option for option in options if f"| `{option}` |" not in section] == []


def test_every_option_says_what_it_means() -> None:
    rows = re.findall(r"^\| `[^|]*\|[^|]*\|[^|]*\|([^|]*)\|$", text_of("docs/configuration.md"), re.MULTILINE)
    assert len(rows) > len(Config.model_fields)
    assert all(meaning.strip() for meaning in rows)


def test_every_rule_of_every_pack_is_documented() -> None:
    page = text_of("docs/policy-packs.md")
    head = re.search(r"^\| rule \|(.*)\|$", page, re.MULTILINE)
    assert head
    packs = [name.strip(" `") for name in head[1].split("|")]
    assert sorted(packs) == pack_names()
    rows = {row[1]: row[2].split("|") for row in re.finditer(r"^\| `([\w-]+)` \|(.*)\|$", page, re.MULTILINE)}
    for name in packs:
        assert f"| `{name}` | " in page
        told = [rule.name for rule in pack(name).rules if not rows[rule.name][packs.index(name)].strip()]
        assert told == []


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        if name.startswith("https://"):
            continue
        file = document.parent / name if name else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@every_document
def test_paths_exist(document: Path) -> None:
    """Files that a document names in passing: `docs/design.md`, `addons/control.py`, `policies/`."""
    folders = "addons|policies|storage|certs|bench|tests|docs|deploy|lockgate"
    for name in re.findall(rf"`((?:{folders})/[\w./-]*)`", document.read_text("utf-8")):
        assert (ROOT / name).exists() or (ROOT / "lockgate" / name).exists(), name


@pytest.mark.parametrize("file", [*DOCUMENTS, *OTHERS], ids=lambda path: path.name)
def test_no_registry_and_no_machine_is_named(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.findall(REGISTRIES, text)
    assert not re.findall(MACHINES, text)
