"""The policy sets that ship, one file each in `packs/`, and which rules a configuration sets in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lockgate.config import Config, RuleConfig, read_file
from lockgate.errors import ConfigError
from lockgate.validation import validate

DEFAULT = "default"
"""What is in force where the configuration names neither a policy set nor rules."""
MEASURED = "coding-agent"
"""What `lockgate policy eval` and `lockgate bench` measure where no other is named."""
_FOLDER = Path(__file__).with_name("packs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A policy set that ships."""

    name: str
    summary: str
    text: str
    """The file: what `lockgate policy show` prints, to begin one's own from."""
    rules: tuple[RuleConfig, ...]


def pack_names() -> list[str]:
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


@cache
def pack(name: str) -> Pack:
    """Raises ConfigError."""
    file = _FOLDER / f"{name}.yaml"
    if name not in pack_names():
        raise ConfigError(f"unknown policy set '{name}'; there are: {', '.join(pack_names())}, or a file with rules")
    text = file.read_text("utf-8")
    summary = text.partition("\n#\n")[0].removeprefix("#").replace("\n#", "")
    rules = tuple(validate(RuleConfig, rule, str(file)) for rule in read_file(file)["rules"])
    return Pack(name=name, summary=" ".join(summary.split()), text=text, rules=rules)


def own_rules(config: Config) -> Sequence[RuleConfig] | None:
    """The same; None where nobody chose them. Raises ConfigError."""
    return rules_of(config) if config.policy or config.rules is not None else None


def rules_of(config: Config) -> Sequence[RuleConfig]:
    """The rules that a configuration sets in force: those of its policy set, then its own. Raises ConfigError."""
    if config.policy:
        return (*named_rules(config.policy), *(config.rules or ()))
    return pack(DEFAULT).rules if config.rules is None else config.rules


def named_rules(name: str) -> Sequence[RuleConfig]:
    """The rules of a pack, or of a file of one's own. Raises ConfigError."""
    file = policy_file(name)
    if file is None:
        return pack(name).rules
    if not file.is_file():
        raise ConfigError(f"{file}: {'is no file' if file.exists() else 'no such file'}; name one with rules")
    config = validate(Config, read_file(file), str(file))
    if config.policy and policy_file(config.policy):
        raise ConfigError(f"{file}: the policy set of a policy set is one that ships: {', '.join(pack_names())}")
    return rules_of(config)


def further_rules(config: Config, name: str) -> Sequence[RuleConfig]:
    """The rules of a set that projects and tokens may name: one of `policy_sets`, or one that ships. Raises
    ConfigError."""
    if (file := config.policy_sets.get(name)) is not None:
        return named_rules(str(file))
    if name not in pack_names():
        known = ", ".join(sorted({*pack_names(), *config.policy_sets}))
        raise ConfigError(f"unknown policy set '{name}'; there are: {known}; 'policy_sets' names files with others")
    return pack(name).rules


def policy_file(name: str) -> Path | None:
    """The file that a policy set's name means; None where it is a pack's."""
    return Path(name).expanduser() if "/" in name or name.endswith((".yaml", ".yml")) else None
