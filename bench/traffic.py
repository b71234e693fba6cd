"""The bytes that pass: a coding agent's requests, and replies of Anthropic Messages. Nothing here does I/O."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

HOST = "api.anthropic.com"
PLAN_HEADER = b"x-bench-plan: "
MODEL = "claude-sonnet-4-5"
KEY = "sk-ant-benchmark"
DELTA = b"event: content_block_delta\n"
"""What each paced event begins with."""
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the provider is to answer: it travels in a header of the request."""

    reply: Literal["whole", "events", "call"] = "whole"
    events: int = 0
    gap_seconds: float = 0.0
    """Between two events; the next one is never sent sooner."""
    call: int = 0
    """Makes the arguments of a tool call its own, so that no verdict is reused."""


def request(plan: Plan, body: bytes = b"", key: str = KEY) -> bytes:
    """A whole HTTP request; without a body of its own, that is about 1 KB."""
    body = body or _dumps(
        {
            "model": MODEL,
            "max_tokens": 1024,
            "stream": plan.reply != "whole",
            "system": "You are a coding agent. You work in the user's repository with the tools that you are given. "
            * 4,
            "tools": [{"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Look at the failing test, find the reason and repair it. " * 7}],
        }
    )
    head = (
        f"POST /v1/messages?beta=true HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\nuser-agent: claude-cli/2.1.0 (external, cli)\r\nx-api-key: {key}\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n"
    ).encode()
    return head + PLAN_HEADER + _dumps(asdict(plan)) + b"\r\n\r\n" + body


def plan_of(head: bytes) -> Plan:
    """The plan in the head of a request."""
    _, found, rest = head.partition(PLAN_HEADER)
    return Plan(**json.loads(rest.partition(b"\r\n")[0])) if found else Plan()


def whole_reply(text: str = "The test compared a path with its resolved form; both are resolved now.") -> bytes:
    """An HTTP reply with a whole message."""
    content = [{"type": "text", "text": text}]
    body = _dumps(_message(content, "end_turn"))
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_benchmark\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_benchmark\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def opening() -> bytes:
    """The events before the first paced one."""
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    return event({"type": "message_start", "message": _message([], None)}) + event(block)


def delta(number: int) -> bytes:
    """One paced event, of about 120 bytes."""
    return event(_delta(0, {"type": "text_delta", "text": f" w{number % 1000}"}))


def closing(block: int = 0, reason: str = "end_turn") -> bytes:
    """The end of the last block and of the message."""
    end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 20}}
    return event({"type": "content_block_stop", "index": block}) + event(end) + event({"type": "message_stop"})


def call(number: int) -> bytes:
    """A tool call as the second block, and the end of the message."""
    start: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {}}
    arguments = json.dumps({"command": f"ls -la build/{number}"})
    return (
        event({"type": "content_block_stop", "index": 0})
        + event({"type": "content_block_start", "index": 1, "content_block": start})
        + event(_delta(1, {"type": "input_json_delta", "partial_json": arguments}))
        + closing(1, "tool_use")
    )


def event(document: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (document["type"].encode(), _dumps(document))


def _dumps(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()  # without spaces, as providers and agents write it


def _delta(index: int, said: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": said}


def _message(content: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_benchmark",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 250, "output_tokens": 20},
    }
