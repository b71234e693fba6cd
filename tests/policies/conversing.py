"""One exchange of each format, streamed and whole, through rules: what the provider gets, and what the client does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.events import Request, TextDelta, ToolCall, Turn
from lockgate.policies.pipeline import Refused
from lockgate.policies.registry import Rule, load_rules
from lockgate.records import Decision
from lockgate.wire.whole import format_of
from tests.addons.wires import WIRES, Wire
from tests.policies.chains import exchange_of, pipeline_of
from tests.upstream.script import Call, Text

__all__ = ["Call", "Text", "Wire"]
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda w: f"{w.name}-{'stream' if w.streamed else 'whole'}")
every_format = pytest.mark.parametrize("wire", [wire for wire in WIRES if wire.streamed], ids=lambda w: w.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What became of an exchange."""

    request: Request
    turn: Turn | None
    decisions: tuple[Decision, ...]
    refused: str = ""

    @property
    def text(self) -> str:
        return self.turn.text if self.turn else ""

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return self.turn.calls if self.turn else ()

    @property
    def order(self) -> list[str]:
        """Which sorts of things the reply says, one after another."""
        kinds = (
            [type(event).__name__ for event in self.turn.events if isinstance(event, TextDelta | ToolCall)]
            if (self.turn)
            else []
        )
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]

    @property
    def score(self) -> float | None:
        return max((one.score for one in self.decisions if one.score is not None), default=None)


def rule(use: str, **options: Any) -> Rule:
    return load_rules([RuleConfig.model_validate({"name": "r", "use": use, "with": options})]).rules[0]


def asking(wire: Wire, **changed: Any) -> Wire:
    """The wire with another request; None takes a key out."""
    document = {key: value for key, value in {**wire.document, **changed}.items() if value is not None}
    return replace(wire, document=document)


def tool(wire: Wire, name: str, schema: Mapping[str, Any] | None = None, description: str = "") -> dict[str, Any]:
    """A tool's definition in the format."""
    said = {"description": description} if description else {}
    if wire.name == "anthropic":
        return {"name": name, **said, **({} if schema is None else {"input_schema": schema})}
    body = {"name": name, **said, **({} if schema is None else {"parameters": schema})}
    return {"type": "function", "function": body} if wire.name == "openai-chat" else {"type": "function", **body}


async def exchanged(wire: Wire, rules: Rule | Sequence[Rule], *parts: Text | Call, **fields: Any) -> Said:
    """The request and a reply of these parts, through the rules; without parts there is no reply."""
    format = format_of(wire.name)
    given = format.read_request(wire.body)
    x = exchange_of(given, format=wire.name, **fields)
    pipeline = pipeline_of(*([rules] if isinstance(rules, Rule) else rules), x=x)
    try:
        x.request = await pipeline.request(given)
    except Refused as refusal:
        return Said(request=given, turn=None, decisions=tuple(x.decisions), refused=str(refusal))
    if not parts:
        return Said(request=x.request, turn=None, decisions=tuple(x.decisions))
    reply = format.reply(x.request, streamed=wire.streamed, hold_calls=pipeline.holds_calls)
    came, out = wire.reply(*parts), list[bytes]()
    frames = [*reply.receive_data(came), *reply.receive_data(b"")]
    try:
        if pipeline.holds_turn:
            await pipeline.turn(Turn(body=came, events=tuple(event for frame in frames for event in frame.events)))
        for frame in frames:
            out.append(reply.emit(frame, await pipeline.reply(frame.events)))
    except Refused as refusal:
        return Said(request=x.request, turn=None, decisions=tuple(x.decisions), refused=str(refusal))
    body = b"".join(out)
    assert reply.changed or body == came
    return Said(request=x.request, turn=wire.read(body), decisions=tuple(x.decisions))


def arguments(call: ToolCall) -> Any:
    return json.loads(call.arguments)
