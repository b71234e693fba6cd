"""What tests of policies need: a reply or a request through one policy, and what goes on of it. Nothing is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.config import RuleConfig
from lockgate.errors import Error
from lockgate.events import BlockEnd, Event, MessageEnd, TextDelta, ToolCall, Turn
from lockgate.exchange import Exchange, Ports
from lockgate.policies.asking import NobodyDecides
from lockgate.policies.base import Policy
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import load_rules
from lockgate.ports import Ask, Resend
from lockgate.records import Decision, Record
from lockgate.wire.anthropic import FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What went on. `refused` is the sentence that ended a request or reply, `decisions` what the log would hold."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    refused: str = ""
    decisions: tuple[Decision, ...] = ()


def call(tool: str, **arguments: Any) -> ToolCall:
    """A call of a tool with these arguments."""
    return ToolCall(block=1, id=f"call_{tool}", name=tool, arguments=json.dumps(arguments))


def reply_through(
    policy: type[Policy] | str, *said: str | ToolCall, request: str = "Hello.", answer: str = "", **options: Any
) -> Passed:
    """A reply that says these texts and calls, as it goes on after the policy with these options.

    `policy` is a class or what stands under `use` in a rule, `answer` what a model says that the policy asks. The
    reply is given in whole texts, and once more letter by letter: AssertionError where the policy makes a difference.
    """
    whole, streamed = (
        asyncio.run(_reply(policy, _events(said, letters=letters), request, answer, options))
        for letters in (False, True)
    )
    same = (whole.text, whole.calls, whole.refused) == (streamed.text, streamed.calls, streamed.refused)
    assert same, f"it depends on where a text is cut: whole {whole!r}, letter by letter {streamed!r}"
    return whole


def request_through(policy: type[Policy] | str, text: str, *, answer: str = "", **options: Any) -> Passed:
    """A user's words to the model, as they go on after the policy with these options."""
    return asyncio.run(_request(policy, text, answer, options))


async def _reply(
    policy: type[Policy] | str, events: Iterable[Event], request: str, answer: str, options: dict[str, Any]
) -> Passed:
    pipeline, out, refused = _pipeline(policy, request, answer, options), list[Event](), ""
    try:
        if pipeline.holds_turn:
            events = (await pipeline.turn(Turn(body=b"", events=tuple(events)))).events
        for event in events:
            out += await pipeline.reply((event,))
    except Refused as refusal:
        refused = str(refusal)
    return Passed(
        text="".join(event.text for event in out if isinstance(event, TextDelta)),
        calls=tuple(event for event in out if isinstance(event, ToolCall)),
        refused=refused,
        decisions=tuple(pipeline.x.decisions),
    )


async def _request(policy: type[Policy] | str, text: str, answer: str, options: dict[str, Any]) -> Passed:
    pipeline = _pipeline(policy, text, answer, options)
    try:
        out = await pipeline.request(pipeline.x.request)
    except Refused as refusal:
        return Passed(refused=str(refusal), decisions=tuple(pipeline.x.decisions))
    said = "".join(spot.text for spot in out.texts() if spot.role == "user")
    return Passed(text=said, decisions=tuple(pipeline.x.decisions))


def _pipeline(policy: type[Policy] | str, text: str, answer: str, options: dict[str, Any]) -> Pipeline:
    use = policy if isinstance(policy, str) else f"{policy.__module__}:{policy.__qualname__}"
    rule = RuleConfig.model_validate({"name": "under-test", "use": use, "with": options})
    document = {"model": "claude-test", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    x = Exchange(
        provider="anthropic", format="anthropic", host="api.anthropic.com", endpoint="/v1/messages",
        request=FORMAT.read_request(json.dumps(document).encode()),
        ports=Ports(log=_NoLog(), models=_Models(answer), approvals=NobodyDecides()),
    )  # fmt: skip
    return Pipeline(load_rules([rule]), x)


def _events(said: Sequence[str | ToolCall], *, letters: bool) -> list[Event]:
    events: list[Event] = []
    for block, each in enumerate(said):
        if isinstance(each, ToolCall):
            events.append(each)
        else:
            events += [TextDelta(block=block, text=part) for part in (each if letters else [each])]
            events.append(BlockEnd(block=block))
    return [*events, MessageEnd(stop_reason="end_turn")]


class _NoLog:
    async def ready(self) -> None:
        pass

    def put(self, records: Sequence[Record]) -> None:
        pass


class _Models:
    """A model that always says the same."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    async def ask(self, ask: Ask, x: Exchange) -> str:
        if not self._answer:
            raise Error("no model is asked in this test: say what one answers with `answer`")
        return self._answer

    async def resend(self, resend: Resend, x: Exchange) -> Turn:
        raise Error("no request is sent in a test")
