"""What a benchmark found, and whether its bound holds. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure: what both proxies took in each round, and what is compared with the bound.

    `value` is the median over the rounds of what each round alone says, so that what disturbs a round disturbs both of
    its sides; `low` and `high` are the least and the most that a round said.
    """

    name: str
    what: str
    unit: str
    """Of `plain` and `lockgate`."""
    plain: Sequence[float]
    """One number per round; for some measures it is Lockgate itself at rest, as `what` says."""
    lockgate: Sequence[float]
    value: float
    low: float
    high: float
    value_unit: str
    """"x" for a ratio."""
    bound: float
    """Below or at which `value` is to stay."""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def holds(self) -> bool:
        return self.value <= self.bound

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name, "what": self.what, "unit": self.unit, "rounds": len(self.lockgate),
            "plain": {"median": _median(self.plain), "rounds": list(self.plain)},
            "lockgate": {"median": _median(self.lockgate), "rounds": list(self.lockgate)},
            "value": self.value, "low": self.low, "high": self.high, "value_unit": self.value_unit,
            "bound": self.bound, "holds": self.holds, "notes": self.notes,
        }  # fmt: skip


def ratios(plain: Sequence[float], lockgate: Sequence[float], **about: Any) -> Result:
    """How many times plain's each of Lockgate's is, pair by pair."""
    return _compared([b / a for a, b in zip(plain, lockgate, strict=True)], plain, lockgate, value_unit="x", **about)


def differences(plain: Sequence[float], lockgate: Sequence[float], *, unit: str, **about: Any) -> Result:
    """How much more than plain's each of Lockgate's is, pair by pair."""
    each = [b - a for a, b in zip(plain, lockgate, strict=True)]
    return _compared(each, plain, lockgate, unit=unit, value_unit=unit, **about)


def increases(rest: Sequence[float], busy: Sequence[float], **about: Any) -> Result:
    """By how many per cent each under load is more than at rest, pair by pair."""
    each = [100 * (b / a - 1) for a, b in zip(rest, busy, strict=True)]
    return _compared(each, rest, busy, value_unit="%", **about)


def absolutes(values: Sequence[float], *, unit: str, **about: Any) -> Result:
    """Lockgate's own numbers."""
    return _compared(values, (), values, unit=unit, value_unit=unit, **about)


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def _compared(each: Sequence[float], plain: Sequence[float], lockgate: Sequence[float], **about: Any) -> Result:
    return Result(plain=plain, lockgate=lockgate, value=median(each), low=min(each), high=max(each), **about)


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
