"""Requests and replies of every format, streamed and whole, with the same content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from lockgate.events import Turn
from lockgate.wire.whole import format_of, read_turn
from tests.addons.gated import ANTHROPIC, OPENAI
from tests.upstream.answering import response
from tests.upstream.received import Received
from tests.upstream.script import Call, Reply, Text, Usage

TOOL = {"type": "object", "properties": {"command": {"type": "string", "maxLength": 100}}, "required": ["command"]}
SAID = [{"role": "user", "content": "Tidy up, please."}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One format, streamed or whole."""

    name: str
    host: str
    path: str
    document: dict[str, Any]

    @property
    def body(self) -> bytes:
        return json.dumps(self.document).encode()

    @property
    def streamed(self) -> bool:
        return bool(self.document.get("stream"))

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "text/event-stream" if self.streamed else "application/json"}

    def reply(self, *parts: Text | Call, number: int = 1, output: int = 12) -> bytes:
        """The body of a reply; its ids follow from the number."""
        received = Received(
            number=number, connection=1, http="1.1", method="POST", path=self.path, headers=(), raw=self.body
        )
        body = response(Reply(parts, usage=Usage(output=output)), received).body
        return b"".join(piece for piece in body if isinstance(piece, bytes))

    def read(self, body: bytes) -> Turn:
        """What a client makes of it; WireError where it is no whole reply."""
        return read_turn(self.name, format_of(self.name).read_request(self.body), body)[0]


def _wires() -> list[Wire]:
    anthropic = {"model": "m", "max_tokens": 100, "messages": SAID, "tools": [{"name": "Bash", "input_schema": TOOL}]}
    chat = {"model": "m", "messages": SAID, "tools": [
        {"type": "function", "function": {"name": "Bash", "parameters": TOOL}}]}  # fmt: skip
    responses = {"model": "m", "input": SAID, "tools": [{"type": "function", "name": "Bash", "parameters": TOOL}]}
    known = [
        ("anthropic", ANTHROPIC, "/v1/messages", anthropic),
        ("openai-chat", OPENAI, "/v1/chat/completions", chat),
        ("openai-responses", OPENAI, "/v1/responses", responses),
    ]
    usage = {"stream_options": {"include_usage": True}}
    return [
        Wire(name=name, host=host, path=path, document={
            **document, "stream": streamed, **(usage if streamed and name == "openai-chat" else {})
        })
        for name, host, path, document in known for streamed in (True, False)
    ]  # fmt: skip


WIRES = _wires()
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda w: f"{w.name}-{'stream' if w.streamed else 'whole'}")
every_stream = pytest.mark.parametrize("wire", [wire for wire in WIRES if wire.streamed], ids=lambda w: w.name)


def bash(command: str) -> Call:
    return Call("Bash", {"command": command})
