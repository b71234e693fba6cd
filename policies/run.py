"""One rule at work in one exchange: it is asked, within its deadline, and what it did is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from types import CoroutineType, coroutine
from typing import Any, cast

from lockgate.errors import told
from lockgate.events import Event, Request, TextDelta, ToolCall, Turn
from lockgate.exchange import Exchange
from lockgate.policies.base import SEEN_BY, Blocked, Heard
from lockgate.policies.registry import Rule
from lockgate.records import Action, Decision, new_id
from lockgate.wire.document import dumps, loads_object

EVERYTHING = frozenset[str]().union(*SEEN_BY.values())
FAILED = "this could not be checked, and what cannot be checked does not pass"
"""What the client is shown when a rule fails; the fault itself goes to the log."""


class Run:
    """A rule with its policy's instance for this exchange. `cares` tells what it wants to see."""

    def __init__(self, rule: Rule, x: Exchange) -> None:
        self.rule, self.x = rule, x
        self.policy = rule.policy(rule.options, rule.shared)
        self.policy.rule_name, self.policy.is_shadow = rule.name, rule.mode == "shadow"
        if rule.match.per_tool:
            self.policy.concerns = lambda tool: rule.match.call(x, tool)
        sees = rule.policy.sees(rule.options) & (rule.policy.per_tool if rule.match.per_tool else EVERYTHING)
        self.requests, self.texts, self.calls = "request" in sees, "text" in sees, "call" in sees
        self.others, self.ends = "event" in sees, "end" in sees
        self.turns = "turn" in sees and rule.mode == "enforce"

    @property
    def replies(self) -> bool:
        """Whether it looks at anything in the reply."""
        return self.texts or self.calls or self.others or self.ends or self.turns

    def cares(self, event: Event) -> bool:
        if isinstance(event, TextDelta):
            return self.texts
        if isinstance(event, ToolCall):
            return self.calls and self.rule.match.call(self.x, event.name)
        return self.others

    async def request(self, given: Request) -> Request:
        """Raises Blocked."""
        began = perf_counter()
        try:
            out = await self._ask(began, _request, self.policy.on_request, given)
        except Blocked as refusal:
            self.record("request", "blocked", began, refusal=refusal)
            raise
        if out is None:
            return given
        if out is not given or self.policy.score is not None:
            action: Action = "forwarded" if out is given else "replaced"
            self.record("request", action, began, out=dumps(out.document) if out is not given else b"")
        return out

    async def event(self, given: Event) -> Sequence[Event]:
        """Raises Blocked, after it was recorded."""
        began = perf_counter()
        try:
            out = await self._ask(began, _events, self.policy.on_event, given)
        except Blocked as refusal:
            self.record(_subject(given), "blocked", began, given=event_json(given), refusal=refusal)
            raise
        return self._given(given, out, began)

    def hear(self, given: TextDelta) -> TextDelta | Sequence[Event]:
        """As `event`, for a policy that waits for nothing: nearly all events, so without a coroutine or a tuple."""
        began, policy = perf_counter(), self.policy
        assert policy.hear
        policy.score, policy.reason, policy.held, policy.moved = None, "", "", False
        try:
            heard = policy.hear(given, self.x)
            if policy.moved and policy.score is None and isinstance(heard, TextDelta):
                return heard  # nearly always
            out = _events((heard,) if isinstance(heard, TextDelta) else heard)
        except Exception as error:
            try:
                out = self._failed(error, began)
            except Blocked as refusal:
                self.record(_subject(given), "blocked", began, given=event_json(given), refusal=refusal)
                raise
        return self._given(given, out, began)

    def _given(self, given: Event, out: Sequence[Event] | None, began: float) -> Sequence[Event]:
        """What goes on, after what is worth it was recorded; `out` is None where the policy failed."""
        if out is None:
            return tuple(self.policy.let_go(given))
        if self.policy.moved and self.policy.score is None:
            return out
        same = self.policy.moved or (len(out) == 1 and out[0] is given)
        if not same or isinstance(given, ToolCall) or self.policy.score is not None:
            action: Action = "forwarded" if same else "replaced" if out else "dropped"
            self.record(_subject(given), action, began, given=event_json(given), out=b"" if same else events_json(out))
        return out

    async def end(self) -> Sequence[Event]:
        """What the policy adds before the end of the message. Raises Blocked."""
        began = perf_counter()
        try:
            out = await self._ask(began, _events, self.policy.on_end) or ()
        except Blocked as refusal:
            self.record("end", "blocked", began, refusal=refusal)
            raise
        if out and not self.policy.moved:
            self.record("end", "replaced", began, out=events_json(out))
        return out

    async def turn(self, given: Turn) -> Turn:
        """The reply that goes on. Raises Blocked, after it was recorded."""
        began = perf_counter()
        try:
            out = await self._ask(began, _turn, self.policy.on_turn, given)
        except Blocked as refusal:
            self.record("turn", "blocked", began, given=events_json(given.events), refusal=refusal)
            raise
        if out is None:
            return given
        if out is not given or self.policy.score is not None:
            same = out is given
            said = (b"", b"") if same else (events_json(given.events), events_json(out.events))
            self.record("turn", "forwarded" if same else "replaced", began, given=said[0], out=said[1])
        return out

    def leave(self) -> None:
        """The exchange is over: that a call still waits for a person is recorded, as nothing else will tell of it."""
        if self.policy.held:
            self.policy.reason, self.policy.held = self.policy.held, ""
            self.record("toolcall", "held", perf_counter())

    async def _ask[Answer](
        self, began: float, checked: Callable[[Any], Answer], hook: Callable[..., Awaitable[Any]], *given: Any
    ) -> Answer | None:
        """The hook's answer; None where it failed and its rule forwards then. Raises Blocked."""
        policy = self.policy
        policy.score, policy.reason, policy.held, policy.moved = None, "", "", False
        if policy.heard:
            policy.heard.clear()
        try:
            question = _begun(hook(*given, self.x))
            try:
                awaited = question.send(None)  # most hooks wait for nothing, and so they need no clock either
            except StopIteration as done:
                return checked(done.value)
            try:
                async with asyncio.timeout(self.rule.deadline_seconds - (perf_counter() - began)):
                    return checked(await _rest(question, awaited))
            finally:
                if self.rule.mode == "enforce":
                    self.x.held_seconds += perf_counter() - began
        except Blocked:
            raise
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
                raise  # the client left, not the policy
            return self._failed(error, began)

    def _failed(self, error: BaseException, began: float) -> None:
        """What comes of a failure: raises Blocked, or records it where the rule forwards."""
        if isinstance(error, Blocked):
            raise error
        reason = f"{self._reason(error)}; on_error: {self.rule.on_error}"
        if self.rule.on_error == "block":
            raise Blocked(FAILED, reason=reason, score=self.policy.score) from error
        self.record("failure", "failed", began, refusal=Blocked(FAILED, reason=reason))

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return f"no verdict within {self.rule.deadline_seconds:g} s"
        return told(error)

    def record(
        self,
        subject: str,
        action: Action,
        began: float,
        *,
        given: bytes = b"",
        out: bytes = b"",
        refusal: Blocked | None = None,
    ) -> None:
        """Keep what the rule did with one thing, in the exchange."""
        score = refusal.score if refusal and refusal.score is not None else self.policy.score
        decision = Decision(
            exchange_id=self.x.id,
            rule=self.rule.name,
            policy=self.rule.use,
            policy_set=self.x.policy_set,
            mode=self.rule.mode,
            subject=subject,
            action=action,
            given=given,
            out=out,
            score=score,
            reason=(refusal.reason or refusal.sentence) if refusal else self.policy.reason,
            milliseconds=round((perf_counter() - began) * 1000, 3),
        )
        held = (_held(decision, self.policy.held),) if self.policy.held else ()
        self.x.decisions += (*(_heard(decision, each) for each in self.policy.heard), *held, decision)
        self.policy.heard.clear()
        self.policy.held = ""


def _held(of: Decision, reason: str) -> Decision:
    """That a call waited for a person, from when on, before what became of it."""
    began = of.created_at - timedelta(milliseconds=of.milliseconds)
    return replace(of, id=new_id(), action="held", out=b"", reason=reason, created_at=began)


def refused_calls(decisions: Iterable[Decision]) -> frozenset[str]:
    """The ids of the tool calls that enforced rules refused."""
    refused = (one for one in decisions if one.action == "blocked" and one.subject == "toolcall")
    return frozenset(str(loads_object(one.given).get("id")) for one in refused if one.mode == "enforce")


def _begun(question: Any) -> Coroutine[Any, Any, Any]:
    """What a hook gave as a coroutine; to await that says what is wrong with anything else."""
    return cast(Coroutine[Any, Any, Any], question) if type(question) is CoroutineType else _awaited(question)


async def _awaited(question: Awaitable[Any]) -> Any:
    return await question


@coroutine
def _rest[Answer](begun: Coroutine[Any, Any, Answer], awaited: Any) -> Generator[Any, Any, Answer]:
    """What is left of a coroutine that waits for its first time, in the same task."""
    while True:
        try:
            try:
                sent = yield awaited
            except BaseException as error:
                awaited = begun.throw(error)
            else:
                awaited = begun.send(sent)
        except StopIteration as done:
            return done.value


def _heard(of: Decision, heard: Heard) -> Decision:
    """A monitor's word as a decision of its own, beside the one it was asked for."""
    return replace(
        of, id=new_id(), rule=f"{of.rule}/{heard.monitor}", policy=heard.policy, out=b"", score=heard.score,
        action="forwarded" if heard.score is not None else "failed", reason=heard.reason,
        milliseconds=heard.milliseconds,
    )  # fmt: skip


def _turn(answer: Any) -> Turn:
    if not isinstance(answer, Turn):
        raise TypeError(f"on_turn gave {type(answer).__name__} instead of a turn")
    return answer


def _request(answer: Any) -> Request:
    if not isinstance(answer, Request):
        raise TypeError(f"on_request gave {type(answer).__name__} instead of a request")
    return answer


def _events(answer: Iterable[Any]) -> Sequence[Event]:
    out: tuple[Any, ...] = tuple(answer)  # runs a generator here, where a failure is the rule's
    if len(out) == 1 and type(out[0]) is TextDelta:  # nearly always
        return out
    for event in out:
        if not isinstance(event, Event):
            raise TypeError(f"a hook gave {type(event).__name__} instead of an event")
    return out


def _subject(event: Event) -> str:
    return type(event).__name__.lower()


_told: tuple[Event | None, bytes] = (None, b"")
"""The event that was told last: every rule records the same call."""


def event_json(event: Event) -> bytes:
    """An event as JSON text, for the log."""
    global _told
    of, text = _told
    if of is not event:
        fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
        said = {name: value for name, value in fields.items() if isinstance(value, str | int | bool)}
        text = dumps({"event": _subject(event), **said})
        _told = (event, text)
    return text


def events_json(events: Sequence[Event]) -> bytes:
    return b"[%s]" % b",".join(map(event_json, events))
