"""Policy sets that projects and tokens name: added to the one for all, so that they never loosen it.

The configuration may say that they stand in its place. A project's and its token's hold together, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.config import Config, RuleConfig
from lockgate.errors import ConfigError
from lockgate.policies.pack import DEFAULT, further_rules, own_rules, pack, pack_names
from lockgate.policies.registry import PolicySet, load_rules, policy_files, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """What a configuration has of them."""

    config: Config
    own: Sequence[RuleConfig]
    named: Mapping[str, Sequence[RuleConfig]]
    """Those of its `policy_sets`, as they were read; the others ship."""
    versions: Mapping[str, str]
    """Of these, and what a project's or token's does, so that a change is seen."""

    @property
    def files(self) -> Iterator[Path]:
        """What they were read from."""
        yield from self.config.policy_sets.values()
        for rules in self.named.values():
            yield from policy_files(rules)

    def join(self, names: Sequence[str]) -> PolicySet:
        """The rules for all and those of these sets; what is among the former already is there once. Its version is
        `VERSION+NAME:VERSION`. Raises ConfigError."""
        rules = [] if self.config.access.policy_sets == "replace" else list(self.own)
        versions = [version_of(rules)] if rules else []
        for name in names:
            given = self._rules(name)
            versions.append(f"{name}:{version_of(given)}")
            if more := [rule for rule in given if rule not in rules]:
                rules.append(RuleConfig(name=name, rules=more))
        return load_rules(rules, version="+".join(versions))

    def _rules(self, name: str) -> Sequence[RuleConfig]:
        return self.named[name] if name in self.named else further_rules(self.config, name)


def load_sets(config: Config) -> PolicySet:
    """The policy set for all, which knows those of projects and tokens. Raises ConfigError."""
    if taken := set(config.policy_sets) & set(pack_names()):
        raise ConfigError(f"'policy_sets': '{min(taken)}' is a set that ships; give yours another name")
    named = {name: further_rules(config, name) for name in config.policy_sets}
    given = own_rules(config)
    further = Further(
        config=config, own=pack(DEFAULT).rules if given is None else given, named=named,
        versions={name: version_of(rules) for name, rules in named.items()} | {"": config.access.policy_sets},
    )  # fmt: skip
    for name in named:
        try:
            further.join([name])  # a mistake is said now, and not to whoever shows the token
        except ConfigError as error:
            raise ConfigError(f"policy set '{name}': {error}") from error
    return load_rules(given, further=further)
