"""The policy sets that were in force, kept as files of a folder: one for each version, and a line for each change."""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from lockgate.config import Loaded, RuleConfig, read_file
from lockgate.errors import ConfigError
from lockgate.policies.further import Further
from lockgate.policies.pack import DEFAULT, own_rules, pack
from lockgate.policies.registry import PolicySet, load_rules, policy_files, version_of
from lockgate.validation import validate

HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A policy set came into force."""

    version: str
    at: str
    rules: int


class Versions:
    """The folder `policy-sets` in `home`. Rules may hold what is not for everybody: only its owner reads it."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "policy-sets"

    def keep(self, policy_set: PolicySet, configs: Sequence[RuleConfig] | None) -> None:
        """Remember that this set is in force now. Nothing happens where it was in force before. Raises OSError."""
        changes = self.changes()
        if changes and changes[-1].version == policy_set.version:
            return
        self._write(policy_set.version, configs, policy_set.files)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        change = Change(version=policy_set.version, at=at, rules=len(policy_set.rules))
        with os.fdopen(os.open(self._folder / HISTORY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as history:
            history.write(json.dumps(asdict(change)) + "\n")

    def keep_further(self, further: Further | None) -> None:
        """Remember the rules of sets that projects and tokens are given. Raises OSError."""
        for rules in further.named.values() if further else ():
            self._write(version_of(rules), rules, policy_files(rules))

    def _write(self, version: str, configs: Sequence[RuleConfig] | None, files: Sequence[Path]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        given = None if configs is None else [plain(config) for config in configs]
        digests = {str(file): _digest(file) for file in files}
        write_file(self._folder / f"{version}.yaml", yaml_of({"files": digests, "rules": given}))

    def changes(self) -> list[Change]:
        """What came into force, oldest first. A line that was cut short is left out."""
        try:
            lines = (self._folder / HISTORY).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        found: list[Change] = []
        for line in lines:
            try:
                found.append(Change(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def find(self, name: str) -> str:
        """The version that begins so. Raises ConfigError."""
        kept = (file.stem for file in self._folder.glob("*.yaml"))
        known = list(dict.fromkeys([*(change.version for change in self.changes()), *kept]))
        found = [version for version in known if version.startswith(name)]
        if len(found) != 1:
            problem = "no version" if not found else "more than one version"
            raise ConfigError(
                f"{problem} of the policy set begins with '{name}'; `lockgate policy versions` lists them"
            )
        return found[0]

    def rules(self, version: str) -> list[RuleConfig] | None:
        """The rules of a version; None where they were the ones that ship. Raises ConfigError where they cannot be had
        again."""
        file = self._folder / f"{version}.yaml"
        if not file.is_file():
            raise ConfigError(f"{file} is not there any more, and with it the rules of version {version}")
        document = read_file(file)
        for path, digest in cast(dict[str, str], document.get("files") or {}).items():
            if not Path(path).is_file() or _digest(Path(path)) != digest:
                raise ConfigError(f"{path} is not what it was in version {version}: put it back first, then roll back")
        given = document.get("rules")
        return None if given is None else [validate(RuleConfig, rule, str(file)) for rule in given]

    def text(self, version: str) -> str:
        """The rules of a version as YAML text."""
        return rules_text(read_file(self._folder / f"{version}.yaml").get("rules"))


def roll_back(loaded: Loaded, name: str) -> tuple[str, str]:
    """Put the rules of the version that begins so into the configuration file.

    Gives the version that they replace, "" where its rules were wrong, and the one they are of. Raises ConfigError.
    """
    known = Versions(loaded.config.home)
    if loaded.file is None:
        raise ConfigError("there is no configuration file to put the rules into; name one with --config")
    found = known.find(name)
    rules = known.rules(found)
    if (given := load_rules(rules).version) != found:
        raise ConfigError(f"the rules of version {found} are read as {given} by this release; put them back by hand")
    before = _keep_present(loaded, known)
    set_rules(loaded.file, rules)
    return before, found


def _keep_present(loaded: Loaded, known: Versions) -> str:
    """The version that is replaced. It may not have been in force yet; where it is wrong, the file is all there was."""
    try:
        rules = own_rules(loaded.config)
        policy_set = load_rules(rules)
        known.keep(policy_set, rules)
    except ConfigError:
        return ""
    return policy_set.version


def rules_text(given: Sequence[RuleConfig | dict[str, Any]] | None) -> str:
    """Rules as YAML text, to be compared; without any, the ones that ship."""
    rules = pack(DEFAULT).rules if given is None else given
    return yaml_of({"rules": [plain(rule) if isinstance(rule, RuleConfig) else rule for rule in rules]})


def diff(before: str, after: str, names: tuple[str, str]) -> str:
    """What differs, as a unified diff; "" where nothing does."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
    return "\n".join(lines)


def set_rules(file: Path, rules: Sequence[RuleConfig] | None) -> None:
    """Put rules into a configuration file, whose other lines and comments stay. Raises ConfigError."""
    from ruamel.yaml import YAML

    yaml = YAML()
    document: Any = yaml.load(file.read_text("utf-8")) or {}  # pyright: ignore[reportUnknownMemberType]
    document.pop("policy", None)
    if rules is None:
        document.pop("rules", None)
    else:
        document["rules"] = [plain(rule) for rule in rules]
    out = io.StringIO()
    yaml.dump(document, out)  # pyright: ignore[reportUnknownMemberType]
    write_file(file, out.getvalue(), file.stat().st_mode & 0o777)


def yaml_of(document: Any) -> str:
    from ruamel.yaml import YAML

    out, yaml = io.StringIO(), YAML()
    yaml.width = 1_000
    yaml.dump(document, out)  # pyright: ignore[reportUnknownMemberType]
    return out.getvalue()


def plain(config: RuleConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def write_file(file: Path, text: str, mode: int = 0o600) -> None:
    """Whole or not at all: a running proxy reads it when it changes."""
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as handle:
        handle.write(text)
    new.replace(file)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
