"""Where the time of an exchange went: the provider, and each rule. Nothing here reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.records import Decision
from lockgate.storage.answers import ExchangeDetail


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTime:
    """What a rule took in one exchange."""

    rule: str
    mode: str
    decisions: int
    held: int
    """How many calls waited for a person."""
    held_milliseconds: float
    """So long they waited; it is a part of the whole."""
    milliseconds: float
    percent: float
    """Of the exchange's duration, 100 at most."""


def rules_of(detail: ExchangeDetail) -> list[RuleTime]:
    """The slowest first."""
    groups: dict[tuple[str, str], list[Decision]] = {}
    for one in detail.decisions:
        groups.setdefault((one.rule, one.mode), []).append(one)
    times = [_time(rule, mode, some, detail.exchange.duration_ms) for (rule, mode), some in groups.items()]
    return sorted(times, key=lambda one: -one.milliseconds)


def _time(rule: str, mode: str, some: Sequence[Decision], duration: float | None) -> RuleTime:
    held = [one.milliseconds for one in some if one.action == "held"]  # what became of it has the same time again
    total = sum(one.milliseconds for one in some) - sum(held)
    return RuleTime(
        rule=rule, mode=mode, decisions=len(some) - len(held), held=len(held), held_milliseconds=sum(held),
        milliseconds=total, percent=round(min(100.0, 100 * total / duration), 1) if duration else 0.0,
    )  # fmt: skip
