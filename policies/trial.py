"""Runs rules over one request and its reply: nothing is sent to the client or upstream, and nothing is logged."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from lockgate.errors import WireError
from lockgate.events import Request, Turn
from lockgate.exchange import Exchange, Ports
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import PolicySet
from lockgate.records import Decision, Record
from lockgate.wire.codec import Format
from lockgate.wire.document import loads_object

FORMATS = {
    "anthropic": ("lockgate.wire.anthropic", "anthropic", "api.anthropic.com", "/v1/messages"),
    "openai-chat": ("lockgate.wire.openai_chat", "openai", "api.openai.com", "/v1/chat/completions"),
    "openai-responses": ("lockgate.wire.openai_responses", "openai", "api.openai.com", "/v1/responses"),
}


class NoLog:
    """Remembers nothing."""

    async def ready(self) -> None:
        pass

    def put(self, records: Sequence[Record]) -> None:
        pass


async def run(
    policy_set: PolicySet, body: bytes, reply: bytes | None, name: str | None, ports: Ports, **known: Any
) -> dict[str, Any]:
    """What the rules do, as a document of `format`, `request`, `reply` and `decisions`. Raises WireError.

    `known` is what else is known of the exchange, such as its agent.
    """
    name = name or format_of(body)
    module, provider, host, endpoint = FORMATS[name]
    format: Format = import_module(module).FORMAT
    request = format.read_request(body)
    place: dict[str, Any] = {"provider": provider, "host": host, "endpoint": endpoint} | known
    x = Exchange(format=name, request=request, ports=ports, **place)
    pipeline = Pipeline(policy_set, x)
    asked = await _request(pipeline, request)
    replied = None if reply is None or asked["outcome"] == "blocked" else await _reply(pipeline, format, x, reply)
    await pipeline.close()
    return {"format": name, "request": asked, "reply": replied, "decisions": [_shown(one) for one in x.decisions]}


def format_of(body: bytes) -> str:
    """The format that a request is written in, by what only one of them has."""
    document = loads_object(body)
    if "input" in document or "previous_response_id" in document:
        return "openai-responses"
    if "system" in document or str(document.get("model", "")).startswith("claude"):
        return "anthropic"
    return "openai-chat"


async def _request(pipeline: Pipeline, request: Request) -> dict[str, Any]:
    try:
        out = await pipeline.request(request)
    except Refused as refusal:
        return {"outcome": "blocked", "rule": refusal.rule, "sentence": str(refusal)}
    if out is request:
        return {"outcome": "passed"}
    return {"outcome": "changed", "document": dict(out.document)}


async def _reply(pipeline: Pipeline, format: Format, x: Exchange, body: bytes) -> dict[str, Any]:
    streamed = not body.lstrip().startswith(b"{")
    reply = format.reply(x.request, streamed=streamed, hold_calls=pipeline.holds_calls)
    parts: list[bytes] = []
    try:
        frames = [*reply.receive_data(body), *reply.receive_data(b"")]
        if pipeline.holds_turn:
            turn = Turn(body=body, events=tuple(event for frame in frames for event in frame.events), usage=reply.usage)
            if (chosen := await pipeline.turn(turn)) is not turn:
                return {"outcome": "changed", "body": _text([chosen.body])}
        for frame in frames:
            parts.append(reply.emit(frame, await pipeline.reply(frame.events)))
    except Refused as refusal:
        parts.append(reply.refuse(str(refusal)))
        return {"outcome": "blocked", "rule": refusal.rule, "sentence": str(refusal), "body": _text(parts)}
    except WireError as error:
        raise WireError(f"the reply cannot be read as {format.name}: {error}") from error
    return {"outcome": "changed", "body": _text(parts)} if reply.changed else {"outcome": "passed"}


def _text(parts: Sequence[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace")


def _shown(decision: Decision) -> dict[str, Any]:
    names = ("rule", "policy", "mode", "subject", "action", "score", "reason", "milliseconds")
    return {name: getattr(decision, name) for name in names}
