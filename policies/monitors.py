"""Monitors asked together: each gives a score from 0 to 1, and the scores make one. Nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from pydantic import Field

from lockgate.config import RuleConfig, Section
from lockgate.errors import ConfigError, Error, told
from lockgate.events import BlockEnd, Event, TextDelta, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Heard, Monitor, Policy
from lockgate.policies.registry import Rule, make_rule

type Combine = Literal["max", "mean", "cascade"]
type Kind = Literal["calls", "text"]
"""What of a reply is scored."""


class MonitorConfig(Section):
    """A policy that is asked for its score, and stops nothing by itself."""

    use: str
    """The policy: one that scores, such as `judge`; or any other, which scores 1 where it would block or change."""
    name: str = ""
    """Its name in the log, after the rule's; by default the policy's."""
    options: dict[str, Any] = Field(default_factory=dict[str, Any], alias="with")
    """The policy's own configuration."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How much it counts where `combine` is `mean`."""
    on_error: Literal["block", "forward"] = "block"
    """What happens when it fails or is late: `block` lets the rule fail, whose own `on_error` decides; `forward` goes
    by what the others say."""
    deadline_seconds: float = Field(default=20.0, gt=0, le=3600)
    """How long it may think."""


class MonitorFailed(Error):
    """A monitor that has to be heard gave no score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The score of one thing said, and why."""

    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class One:
    """A monitor, ready to be asked."""

    config: MonitorConfig
    rule: Rule
    kinds: frozenset[Kind]
    """What it has a score for."""

    async def ask(self, said: ToolCall | str, x: Exchange) -> Heard:
        """What it says; without a score where it failed or was late. A new instance is asked each time."""
        began = perf_counter()
        score: float | None = None
        try:
            async with asyncio.timeout(self.config.deadline_seconds):
                policy = self.rule.policy(self.rule.options, self.rule.shared)
                score, reason = await _score(policy, said, x)
        except TimeoutError:
            reason = f"no score within {self.config.deadline_seconds:g} s"
        except Exception as error:
            reason = told(error)
        if score is not None and not 0 <= score <= 1:
            score, reason = None, f"the score {score} is not from 0 to 1"
        milliseconds = round((perf_counter() - began) * 1000, 3)
        return Heard(
            monitor=self.rule.name, policy=self.rule.use, score=score, reason=reason, milliseconds=milliseconds
        )


class Panel:
    """The monitors of one rule, and how their scores make one."""

    def __init__(self, monitors: Sequence[One], combine: Combine, uncertain: tuple[float, float]) -> None:
        self.monitors, self._combine, self._uncertain = monitors, combine, uncertain

    async def score(self, said: ToolCall | str, x: Exchange, heard: list[Heard]) -> Scored:
        """The score of a call or a text; each monitor's word is added to `heard`. Raises MonitorFailed."""
        kind = "calls" if isinstance(said, ToolCall) else "text"
        monitors = [monitor for monitor in self.monitors if kind in monitor.kinds]
        if self._combine == "cascade":
            return await self._cascade(monitors, said, x, heard)
        answers = await asyncio.gather(*(monitor.ask(said, x) for monitor in monitors))
        heard += answers
        given = [(each, self._given(each, one)) for each, one in zip(answers, monitors, strict=True)]
        scores = [(each, score, one.config.weight) for (each, score), one in zip(given, monitors, strict=True)
                  if score is not None]  # fmt: skip
        if not scores:
            raise MonitorFailed("no monitor gave a score: " + "; ".join(each.reason for each in answers))
        most = max(scores, key=lambda each: each[1])
        total = sum(weight for _, _, weight in scores)
        mean = sum(score * weight for _, score, weight in scores) / total
        return Scored(score=most[1] if self._combine == "max" else min(mean, 1.0), reason=_reason(most[0]))

    async def _cascade(self, monitors: Sequence[One], said: ToolCall | str, x: Exchange, heard: list[Heard]) -> Scored:
        """The first score outside the uncertain band, else the last: the later monitors are dearer."""
        low, high = self._uncertain
        last: Scored | None = None
        for monitor in monitors:
            answer = await monitor.ask(said, x)
            heard.append(answer)
            score = self._given(answer, monitor)
            if score is None:
                continue
            last = Scored(score=score, reason=_reason(answer))
            if not low <= score < high:
                break
        if last is None:
            raise MonitorFailed("no monitor gave a score: " + "; ".join(each.reason for each in heard))
        return last

    def _given(self, heard: Heard, monitor: One) -> float | None:
        if heard.score is None and monitor.config.on_error == "block":
            raise MonitorFailed(f"monitor '{heard.monitor}' gave no score: {heard.reason}")
        return heard.score


def _reason(heard: Heard) -> str:
    return f"{heard.monitor}: {heard.reason}" if heard.reason else heard.monitor


def make_panel(
    configs: Sequence[MonitorConfig], judges: Sequence[Kind], combine: Combine, uncertain: tuple[float, float]
) -> Panel:
    """Raises ConfigError, also for what could never matter."""
    names = [config.name or config.use for config in configs]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"monitor '{repeated}': the name is used twice; give each its own 'name'")
    monitors = [_one(config, name, judges) for config, name in zip(configs, names, strict=True)]
    for kind in judges:
        if not any(kind in monitor.kinds for monitor in monitors):
            raise ConfigError(f"'judges' names '{kind}', which no monitor has a score for: {', '.join(names)}")
    if idle := next((monitor for monitor in monitors if not monitor.kinds & set(judges)), None):
        [scored] = idle.kinds
        raise ConfigError(f"monitor '{idle.rule.name}': it would never be asked, as 'judges' does not name '{scored}'")
    return Panel(monitors, combine, uncertain)


def _one(config: MonitorConfig, name: str, judges: Sequence[Kind]) -> One:
    rule = make_rule(RuleConfig.model_validate({"name": name, "use": config.use, "with": config.options}), "monitor")
    kinds = _kinds(rule)
    if not kinds:
        raise ConfigError(f"monitor '{name}': the policy '{config.use}' has no score: it looks at no call and no text")
    if rule.policy.needed_seconds(rule.options):
        raise ConfigError(f"monitor '{name}': '{config.use}' asks a person, who gives no score; use a step that does")
    if issubclass(rule.policy, Monitor):
        if "threshold" in config.options:
            raise ConfigError(f"monitor '{name}': its 'threshold' can never apply here; put the score under 'steps'")
        if config.options.get("asks", judges[0]) not in judges:
            raise ConfigError(f"monitor '{name}': its 'asks' can never apply here; put what is scored under 'judges'")
    return One(config, rule, kinds)


def _kinds(rule: Rule) -> frozenset[Kind]:
    if issubclass(policy := rule.policy, Monitor):
        has = {
            "calls": policy.score_call is not Monitor.score_call,
            "text": policy.score_text is not Monitor.score_text,
        }
    else:
        seen = policy.sees(rule.options)
        has = {"calls": "call" in seen, "text": "text" in seen}
    return frozenset[Kind](kind for kind in ("calls", "text") if has[kind])


async def _score(policy: Policy, said: ToolCall | str, x: Exchange) -> tuple[float, str]:
    if isinstance(policy, Monitor):
        asked: Awaitable[tuple[float, str]]
        asked = policy.score_call(said, x) if isinstance(said, ToolCall) else policy.score_text(said, x)
        return await asked
    events: list[Event] = [said] if isinstance(said, ToolCall) else [TextDelta(block=0, text=said), BlockEnd(block=0)]
    out: list[Event] = []
    try:
        for event in events:
            out += await policy.on_event(event, x)
    except Blocked as refusal:
        return 1.0 if refusal.score is None else refusal.score, refusal.reason or refusal.sentence
    if policy.score is not None:
        return policy.score, policy.reason
    return (1.0, "it would be changed") if _differs(said, out) else (0.0, "")


def _differs(said: ToolCall | str, out: Sequence[Event]) -> bool:
    if isinstance(said, ToolCall):
        return list(out) != [said]
    return "".join(event.text for event in out if isinstance(event, TextDelta)) != said
