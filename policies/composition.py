"""Chains and branches: rules inside rules become plain rules, each with all the conditions that it stands under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError

type Shares = tuple[tuple[str, float], ...]
"""The names of rules, and the share of exchanges that each of them takes part in."""


@dataclass(frozen=True, slots=True)
class _Outer:
    """What the rules inside a rule inherit."""

    name: str = ""
    conditions: tuple[Mapping[str, Any], ...] = ()
    shares: Shares = ()
    config: RuleConfig | None = None


def flattened(configs: Sequence[RuleConfig]) -> list[tuple[RuleConfig, Shares]]:
    """Every rule that uses a policy, in order, its name a path; and the outer shares it is drawn by.

    Raises ConfigError.
    """
    return [leaf for config in configs for leaf in _leaves(config, _Outer())]


def _leaves(config: RuleConfig, outer: _Outer) -> Iterator[tuple[RuleConfig, Shares]]:
    config = _inherited(config, outer)
    conditions = (*outer.conditions, *([config.match] if config.match else []))
    if config.use:
        yield config.model_copy(update={"match": _together(conditions)}), outer.shares
        return
    shares = (*outer.shares, *([(config.name, config.sample)] if config.sample < 1 else []))
    for rule in config.rules:
        yield from _leaves(rule, _Outer(config.name, conditions, shares, config))
    before: list[Mapping[str, Any]] = []
    for branch in config.branches:
        if {} in before:
            raise ConfigError(f"rule '{config.name}': a branch after one without 'when' can never apply; put it before")
        held = (*conditions, *({"not": other} for other in before), *([branch.when] if branch.when else []))
        for rule in branch.rules:
            yield from _leaves(rule, _Outer(config.name, held, shares, config))
        before.append(branch.when)


def _inherited(config: RuleConfig, outer: _Outer) -> RuleConfig:
    if outer.config is None:
        return config
    return config.model_copy(
        update={
            "name": f"{outer.name}/{config.name}",
            "mode": "shadow" if "shadow" in (outer.config.mode, config.mode) else "enforce",
            "on_error": config.on_error or outer.config.on_error,
            "refusal": config.refusal or outer.config.refusal,
        }
    )


def _together(conditions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    match conditions:
        case []:
            return {}
        case [only]:
            return only
        case _:
            return {"all": list(conditions)}
