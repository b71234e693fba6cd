"""`protocol`: monitors score what a model is about to do, and the score decides what is done about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from lockgate.errors import Error
from lockgate.events import Event, Request, ToolCall, Turn
from lockgate.exchange import Exchange
from lockgate.policies.asking import ask_person
from lockgate.policies.asking_options import webhook_of
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.key import read_key
from lockgate.policies.ledger import Sessions, all_keys, session_keys
from lockgate.policies.monitors import Panel, Scored, make_panel
from lockgate.policies.protocol_options import OF_TURNS, Does, Options
from lockgate.policies.trusted import deferred, edited, sampled
from lockgate.ports import Webhook
from lockgate.wire.whole import made_turn


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges of one rule share."""

    panel: Panel
    key: str
    sessions: Sessions
    webhook: Webhook | None


@dataclass(frozen=True, slots=True)
class Scores:
    """What was found in one reply."""

    worst: Scored | None
    """None where there was nothing to score."""
    text: Scored | None

    @property
    def highest(self) -> float:
        return 0.0 if self.worst is None else self.worst.score


class Spent(Error):
    """Further requests have cost a session all that they may: the rule's `on_error` decides."""


class Protocol(Policy):
    """Asks monitors how suspicious each tool call is, and does at each score what its steps say.

    A monitor is any policy: one that scores, such as `judge`, or one that blocks, which scores 1 then. Every monitor's
    score is recorded, also when nothing happens. `resample`, `defer` and `terminate` concern the whole reply, which
    waits for its end then, and what goes on is one reply of one model; neither the client nor the model is told. The
    further requests go where the client's went, with its credentials, or where `trusted` says with the key that it
    names; they are comms of their own, related by `resample_of`. Where a monitor or a further request fails, or the
    rule's `deadline_seconds` pass, `on_error` decides. Left out, they are as many as monitors, a person and a further
    request may take, where that is more than 30.

    What a step does follows from the first score. To ask again at any high score, and to block what is suspicious even
    then, put one rule after another: the second scores what the first let go on.

    Example:
        monitors:
          - use: judge
            with: {url: https://api.anthropic.com/v1/messages, model: claude-haiku-4-5, key_file: judge.key}
        steps:
          - {at: 0.5, do: resample}
          - {at: 0.8, do: block}
        samples: 2
    """

    Options = Options
    per_tool = frozenset({"call", "turn", "request"})

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self._known: dict[tuple[str, str], Scored] = {}
        """The calls of this exchange that were scored, by name and arguments."""
        self._settled = False
        """Whether the reply is the trusted model's, which is not judged."""
        self._chosen = False
        """Whether it was settled already which reply goes on."""

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        """What a rule with these options looks at."""
        seen = {"call"} if "calls" in options.judges else set[str]()
        seen |= {"turn"} if options.holds_turns else set()
        return frozenset(seen | ({"request"} if options.does("terminate") else set()))

    @classmethod
    def provision(cls, options: Options) -> Shared:
        low, high = options.uncertain
        panel = make_panel(options.monitors, options.judges, options.combine, (low, high))
        key = read_key(options.trusted.key_env, options.trusted.key_file)
        return Shared(panel, key, Sessions(), webhook_of(options.approval))

    @classmethod
    def needed_seconds(cls, options: Options) -> float:
        """A person's time, where one is asked, and what the monitors may take."""
        return options.approval.needed_seconds if options.does("approve") else 0.0

    @classmethod
    def usual_seconds(cls, options: Options) -> float:
        """What the monitors may take, what a person may, and a further request, whose reply is scored as well."""
        times = [one.deadline_seconds for one in options.monitors]
        scoring = sum(times) if options.combine == "cascade" else max(times)
        needed = max(cls.needed_seconds(options), scoring)
        asks_again = options.does("resample", "defer", "edit")
        return needed + (options.timeout_seconds + scoring if asks_again else 0.0)

    async def on_request(self, request: Request, x: Exchange) -> Request:
        if self.shared.sessions.is_ended(session_keys(x)):
            raise Blocked(self.options.ended_sentence, reason="this session was ended")
        return request

    async def on_turn(self, turn: Turn, x: Exchange) -> Turn:
        scores, self._chosen = await self._score_turn(turn, x), True
        if scores.worst is None:
            return turn
        self.score, self.reason = scores.worst.score, scores.worst.reason
        if self._does(scores.worst) == "resample":
            turn, scores = await self._resample(turn, scores, x)
        match self._does(scores.worst):
            case "defer":
                ask = partial(deferred, self.options.trusted, self.shared.key, x, self._seconds)
                turn, self._settled = await self._further(ask, x), True
                self._say("the trusted model's reply goes on")
                return turn
            case "terminate":
                self._settled = True
                self._say("the session is ended")
                self._end_session(all_keys(x), x)
                return made_turn(x.format, x.request, self.options.ended_sentence)
            case _ if self._does(scores.text) in ("block", "edit", "approve"):
                raise Blocked(self.options.sentence, reason=self.reason, score=self.score)
            case _:
                return turn

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if self._settled:
            return (call,)
        chosen = (call.name, call.arguments) in self._known and self._chosen
        scored = await self._score_call(call, x)
        self.score, self.reason = scored.score, scored.reason
        does = self._does(scored)
        match does:
            case "flag":
                return (call,)
            case "resample" | "defer" | "terminate" if chosen:
                return (call,)  # the least suspicious, or what goes on where asking again failed
            case "edit":
                return (await self._edit(call, x),)
            case "approve":
                return (await ask_person(self, self.options.approval, self.shared.webhook, call, x),)
            case _:  # a step for whole replies: in shadow mode, or where an earlier rule changed the call since
                reason = f"{self.reason} (the step is {does})" if does in OF_TURNS else self.reason
                raise Blocked(self.options.sentence, reason=reason, score=self.score)

    def _does(self, scored: Scored | None) -> Does:
        """What the steps say about a score; below all of them nothing is done."""
        step = self.options.step_at(scored.score) if scored is not None else None
        return "flag" if step is None else step.do

    async def _score_call(self, call: ToolCall, x: Exchange) -> Scored:
        key = (call.name, call.arguments)
        if key not in self._known:
            self._known[key] = await self.shared.panel.score(call, x, self.heard)
        return self._known[key]

    async def _score_turn(self, turn: Turn, x: Exchange) -> Scores:
        judges: Sequence[str] = self.options.judges
        calls = [call for call in turn.calls if "calls" in judges and self.concerns(call.name)]
        asked: list[Awaitable[Scored]] = [self._score_call(call, x) for call in calls]
        is_text = "text" in judges and bool(turn.text)
        if is_text:
            asked.append(self.shared.panel.score(turn.text, x, self.heard))
        scores = await _all(asked)
        return Scores(max(scores, key=lambda each: each.score, default=None), scores[-1] if is_text else None)

    async def _resample(self, turn: Turn, scores: Scores, x: Exchange) -> tuple[Turn, Scores]:
        """The least suspicious of this reply and further ones; the highest score of all is kept for audit."""
        count: int = self.options.samples
        asked = (self._further(partial(sampled, x, self._seconds), x) for _ in range(count))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        turns = [turn, *(answer for answer in answers if isinstance(answer, Turn))]
        if len(turns) == 1:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        judged = [scores, *await _all([self._score_turn(other, x) for other in turns[1:]])]
        best = min(range(len(turns)), key=lambda place: judged[place].highest)
        self.score = max(each.highest for each in judged)
        failed = f", {count + 1 - len(turns)} failed" if len(turns) <= count else ""
        told = ", ".join(f"{each.highest:g}" for each in judged)
        self._say(f"replies scored {told}{failed}; number {best + 1} goes on")
        return turns[best], judged[best]

    async def _edit(self, call: ToolCall, x: Exchange) -> ToolCall:
        """The call as the trusted model would have it, judged like any other. Raises Blocked."""
        new = await edited(self.options.trusted, self.shared.key, call, x, self._seconds)
        if new is None:
            raise Blocked(self.options.sentence, reason="the trusted model would not make this call", score=self.score)
        again = await self._score_call(new, x)
        if self._does(again) != "flag":
            raise Blocked(self.options.sentence, reason=f"still after an edit: {again.reason}", score=again.score)
        return new

    def _end_session(self, keys: Sequence[str], x: Exchange) -> None:
        """Here, and on every proxy that shares the database; this reply goes on."""
        seconds, sentence = self.options.ended_seconds, self.options.ended_sentence
        self.shared.sessions.end(keys, seconds)
        if x.ports.sessions is not None:
            x.ports.sessions.end_session(x, keys, seconds=seconds, rule="protocol", sentence=sentence)

    async def _further(self, ask: Callable[[], Awaitable[Turn]], x: Exchange) -> Turn:
        """A further request's reply, where the session may still cost something."""
        sessions, keys = self.shared.sessions, session_keys(x)
        if sessions.spent(keys) >= self.options.session_tokens:
            raise Spent(f"further replies have cost this session its `session_tokens`, {self.options.session_tokens}")
        turn = await ask()
        if turn.usage is not None:
            sessions.spend(keys, turn.usage.total)
        return turn

    @property
    def _seconds(self) -> float:
        return self.options.timeout_seconds

    def _say(self, what: str) -> None:
        self.reason = f"{self.reason}; {what}" if self.reason else what


async def _all[Answer](asked: Sequence[Awaitable[Answer]]) -> list[Answer]:
    """Every answer, in order; where one failed, its error, when no other is under way any more."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]
