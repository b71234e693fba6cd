"""Writes docs/configuration.md and docs/policies.md from schemas and docstrings; with --check, says if they are stale.

What no schema knows stands in docs/parts/.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import lockgate
from lockgate import events
from lockgate.config import BUILT_IN_HOSTS, Config, Host, RuleConfig
from lockgate.policies.base import Policy
from lockgate.policies.describe import Option, describe, options_of
from lockgate.policies.flows.places import MEANINGS
from lockgate.policies.match import COMPARATORS, FIELDS
from lockgate.policies.pack import pack, pack_names
from lockgate.policies.registry import BUILT_IN, load_policy

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from schemas and docstrings: `just docs`. -->"
HOOKS = ("on_request", "on_text", "on_tool_call", "on_event", "on_end", "on_turn")
CONDITIONS = {
    "provider": "`anthropic`, `openai` or `google`: the host's `format`",
    "format": "the wire format: `anthropic`, `openai-chat` or `openai-responses`",
    "host": "the host that the client asked for",
    "endpoint": "the path, without its query",
    "model": "the model that the request names",
    "stream": "whether the reply is to be streamed",
    "agent": "the program, as its headers tell: `claude-code`, `codex` …",
    "session": "the id of the session, as `lockgate log sessions` shows it",
    "marker": "what the agent itself calls its session",
    "attested": "the history, next to what was released: `attested`, `compacted`, `altered`, `foreign` or `unknown`",
    "purpose": "`side` for a title, a probe or a count, `compaction` for a summary to go on from, else empty",
    "project": "the project of the token that was shown",
    "token": "the id of that token",
    "label": "one of that token's labels",
    "client": "the address that the request came from",
    "tool": "the tool that is called: a rule that names it looks at calls only",
}


def main() -> int:
    """The exit code: 1 where a page is stale and only a check was asked for."""
    check = "--check" in sys.argv[1:]
    pages = {DOCS / "configuration.md": configuration(), DOCS / "policies.md": policies()}
    stale = {path: text for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text}
    if check and stale:
        names = ", ".join(path.name for path in stale)
        print(f"docs: {names}: not what the schemas say; write them anew with `just docs`", file=sys.stderr)
        return 1
    for path, text in stale.items():
        path.write_text(text, "utf-8")
    return 0


def configuration() -> str:
    return page(
        part("configuration.md"),
        "## All options",
        option_table(options_of(Config.model_json_schema())),
        "### Host",
        prose(Host.__doc__),
        option_table(options_of(Host.model_json_schema())),
        "These are built in:",
        table(("host", "format"), ((f"`{name}`", f"`{host.format}`") for name, host in BUILT_IN_HOSTS.items())),
        "### Rule",
        prose(f"{RuleConfig.__doc__} [Policies](policies.md) tells about them."),
        option_table(options_of(RuleConfig.model_json_schema())),
    )


def policies() -> str:
    doings = table(("`does`", "what the call does"), ((f"`{name}`", meaning) for name, meaning in MEANINGS.items()))
    comparators = ", ".join(f"`{name}`" for name in COMPARATORS)
    conditions = [(f"`{name}`", CONDITIONS[name]) for name in FIELDS if name in CONDITIONS]
    shipped = [(f"`{name}`", pack(name).summary) for name in pack_names()]
    return page(
        part("policies.md").replace("COMPARATORS", comparators).replace("DOINGS", doings),
        table(("condition", "what it is"), conditions),
        "## Built-in policies",
        *(each for name in BUILT_IN for each in policy(name)),
        part("default.md"),
        table(("pack", "what it is"), shipped),
        part("own.md"),
        "### The hooks of a policy",
        prose(Policy.__doc__),
        "```python\n" + "\n".join(f"async def {name}{signature(getattr(Policy, name))}" for name in HOOKS) + "\n```",
        "### Names",
        "All of them come from `lockgate`.",
        table(("name", "meaning"), ((f"`{shown(name)}`", meaning(name)) for name in lockgate.__all__)),
    )


def policy(name: str) -> Iterable[str]:
    cls = load_policy(name)
    found = describe(name, cls)
    refusal = f" Its refusals take the shape `{cls.refusal}`." if cls.refusal else ""
    failure = "blocks" if cls.on_error == "block" else "lets pass"
    yield f"### {name}"
    yield prose(found.summary)
    yield from (prose(paragraph) for paragraph in found.details.split("\n\n"))
    yield prose(f"If it fails or takes too long, it {failure}, unless the rule says otherwise.{refusal}")
    yield option_table(found.options) if found.options else "It takes no options."
    if found.options:
        yield f"```yaml\n- name: my-{name}\n  use: {name}\n  with:\n{textwrap.indent(found.example, ' ' * 4)}\n```"


def page(*parts: str) -> str:
    return "\n\n".join((NOTE, *(each for each in parts if each))) + "\n"


def part(name: str) -> str:
    """What is written by hand."""
    return (DOCS / "parts" / name).read_text("utf-8").strip()


def option_table(options: Iterable[Option]) -> str:
    rows = [(f"`{each.name}`", each.type, default_of(each), each.description) for each in options]
    return table(("option", "takes", "default", "meaning"), rows)


def default_of(option: Option) -> str:
    """Nothing where there is none, or where the meaning tells it."""
    if not option.default:
        return "**required**"
    told = option.default in ("none", '""', "[]") or option.default[:1] == "{" or "by default" in option.description
    return "" if told else f"`{option.default}`"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def prose(text: str | None) -> str:
    """A docstring as a paragraph."""
    return textwrap.fill(flat(text or ""), 120, break_long_words=False, break_on_hyphens=False)


def flat(text: str) -> str:
    return " ".join(text.split())


def signature(function: Any) -> str:
    return str(inspect.signature(function)).replace("'", "")


def shown(name: str) -> str:
    """The name, and what it holds where it is a value."""
    value = getattr(lockgate, name)
    held = [field.name for field in fields(value)] if is_dataclass(value) else []
    return f"{name}({', '.join(held)})" if held else name


def meaning(name: str) -> str:
    value = getattr(lockgate, name)
    return flat(inspect.getdoc(value) or "") if inspect.isclass(value) else flat(constant(name))


def constant(name: str) -> str:
    """The text under the constant in its module."""
    found = re.search(rf'^{name} = .*\n"""(.*?)"""', inspect.getsource(events), re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


if __name__ == "__main__":
    sys.exit(main())
