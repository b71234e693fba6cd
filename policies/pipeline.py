"""The fold: what is said passes the rules in order, and what a rule emits passes the later ones."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from lockgate.errors import Error, told
from lockgate.events import BlockEnd, Event, MessageEnd, Request, TextDelta, ToolCall, Turn
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Refusal
from lockgate.policies.commands import runs_commands
from lockgate.policies.notice import explained, notice
from lockgate.policies.registry import PolicySet, Rule
from lockgate.policies.run import FAILED, Run
from lockgate.policies.shadow import Shadow

log = logging.getLogger(__name__)


class Refused(Error):
    """A rule ends the exchange: the request is not sent, or the rest of the reply does not pass."""

    def __init__(self, rule: str, sentence: str, shape: Refusal) -> None:
        super().__init__(notice(rule, sentence, None))
        self.rule, self.shape = rule, shape


class Pipeline:
    """The rules in force for one exchange."""

    def __init__(self, policy_set: PolicySet, x: Exchange) -> None:
        x.policy_set = policy_set.version
        self.x = x
        self._broken: Refused | None = None
        runs = [run for rule in policy_set.rules if rule.looks_at(x) if (run := self._run(rule))]
        self._settled: dict[int, Event] = {}
        """Notices, by identity: what a refusal put in the place of a call is no call of the model's to judge."""
        self._runs = [run for run in runs if run.rule.mode == "enforce"]
        self._shadows = [Shadow(run) for run in runs if run.rule.mode == "shadow"]
        self._on_text = [(i, run) for i, run in enumerate(self._runs) if run.texts]
        self._shadows_on_text = [shadow for shadow in self._shadows if shadow.run.texts]
        self._texts = any(run.texts for run in runs)
        self._others = any(run.others for run in runs)
        self.judges_reply = any(run.replies for run in self._runs)
        """Whether anything in the reply can be changed by a rule: then it must be readable."""
        self.holds_calls = any(run.calls or run.ends for run in self._runs)
        """Whether the reply waits, from its first tool call on, for every call's verdict."""
        self.holds_turn = any(run.turns for run in self._runs)
        """Whether the reply waits for its end, because another may go on in its place."""

    def _run(self, rule: Rule) -> Run | None:
        try:
            return Run(rule, self.x)
        except Exception as error:
            log.error("rule '%s' cannot be put to work: %s", rule.name, told(error))
            if rule.mode == "enforce" and rule.on_error == "block":
                self._broken = self._broken or Refused(rule.name, FAILED, "error")
            return None

    def unseen(self, events: tuple[Event, ...]) -> bool:
        """Whether no rule cares: then they go on without being asked about. The usual case, and so it costs little."""
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                if self._texts:
                    return False
            elif self._others or kind is ToolCall or kind is MessageEnd:
                return False
        return True

    def conceal(self, request: Request) -> bool:
        """Let the rules say what the log may not hold; False where one of them fails, and nothing may be recorded."""
        try:
            for run in (*self._runs, *(shadow.run for shadow in self._shadows)):
                if run.requests:
                    run.policy.conceal(request, self.x)
        except Exception as error:
            log.error(
                "exchange %s: its request is not recorded, as a rule failed to read it: %s", self.x.id, told(error)
            )
            return False
        return True

    async def request(self, request: Request) -> Request:
        """What goes to the provider. Raises Refused."""
        if self._broken:
            raise self._broken
        for shadow in self._shadows:
            shadow.request(request)
        for run in self._runs:
            if run.requests:
                try:
                    request = await run.request(request)
                except Blocked as refusal:
                    shape = run.rule.refusal or "error"
                    raise Refused(run.rule.name, refusal.sentence, shape) from refusal
        return request

    async def turn(self, turn: Turn) -> Turn:
        """The reply that goes on, which the rules for its events are asked about next. Raises Refused."""
        for run in self._runs:
            if run.turns:
                try:
                    turn = await run.turn(turn)
                except Blocked as refusal:
                    raise Refused(run.rule.name, refusal.sentence, "error") from refusal
        return turn

    def reply(self, events: tuple[Event, ...]) -> Awaitable[Sequence[Event]]:
        """What goes on to the client; the same tuple where every event goes on as it is. Raises Refused."""
        one = len(events) == 1 and type(events[0]) is TextDelta  # nearly all of them
        return self._hear(events) if one else self._reply(events)

    async def _reply(self, events: tuple[Event, ...]) -> Sequence[Event]:
        for shadow in self._shadows:
            shadow.events(events)
        out: list[Event] = []
        for event in events:
            if type(event) is MessageEnd:
                out += await self._end()
            out += await self._feed((event,))
        same = len(out) == len(events) and all(a is b for a, b in zip(out, events, strict=True))
        return events if same else out

    async def close(self) -> None:
        """Tell what still waits for a person, and wait until the shadow rules are done, each within its deadline."""
        for run in self._runs:
            run.leave()
        for shadow in self._shadows:
            await shadow.close()

    async def _end(self) -> list[Event]:
        out: list[Event] = []
        for i, run in enumerate(self._runs):
            if run.ends:
                try:
                    added = await run.end()
                except Blocked as refusal:
                    raise Refused(run.rule.name, refusal.sentence, "error") from refusal
                for event in added:
                    out += await self._feed((event,), i + 1)
        return out

    async def _hear(self, events: tuple[Any, ...]) -> Sequence[Event]:
        """A piece of text that stays one, as nearly all do, passes only the rules that look at text."""
        for shadow in self._shadows_on_text:
            shadow.events(events)
        text: TextDelta = events[0]
        for i, run in self._on_text:
            try:
                out = run.hear(text) if run.policy.hear else await run.event(text)
            except Blocked as refusal:
                out = await self._refuse(i, run, text, refusal)
            if isinstance(out, TextDelta):
                text = out
                continue
            if len(out) != 1 or type(out[0]) is not TextDelta:
                return await self._feed(out, i + 1) if out else out
            text = out[0]
        return events if text is events[0] else (text,)

    async def _feed(self, events: Sequence[Event], start: int = 0) -> Sequence[Event]:
        for i in range(start, len(self._runs)):
            run = self._runs[i]
            passed: list[Event] = []
            for given in events:
                asked = run.cares(given) and id(given) not in self._settled
                passed += await self._ask(i, run, given) if asked else (given,)
            events = passed
        return events

    async def _ask(self, i: int, run: Run, given: Event) -> Sequence[Event]:
        try:
            out = await run.event(given)
        except Blocked as refusal:
            return await self._refuse(i, run, given, refusal)
        if isinstance(given, ToolCall) and not out:
            return await self._refuse(i, run, given, Blocked("the call was withheld"))
        return out

    async def _refuse(self, i: int, run: Run, given: Event, refusal: Blocked) -> Sequence[Event]:
        """A refused call becomes a notice; anything else that is refused ends the reply."""
        shape = run.rule.refusal
        if not isinstance(given, ToolCall) or shape in ("error", "reply"):
            raise Refused(run.rule.name, refusal.sentence, "error") from refusal
        shown = refusal.shown or given
        text = await self._later_text(notice(run.rule.name, refusal.sentence, shown), given.block, i + 1)
        as_text = shape == "text" or not runs_commands(shown)
        event = TextDelta(block=given.block, text=text) if as_text else explained(shown, text)
        self._settled[id(event)] = event
        return (event,)

    async def _later_text(self, text: str, block: int, start: int) -> str:
        """A notice repeats arguments, so later rules for text see it whole; those for calls are done with it."""
        parts: list[str] = []
        for event in (TextDelta(block=block, text=text), BlockEnd(block=block)):
            parts += [said.text for said in await self._feed((event,), start) if isinstance(said, TextDelta)]
        return "".join(parts)
