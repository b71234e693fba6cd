"""Records for the storage tests, each field with a value of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lockgate.events import Usage
from lockgate.frames.told import content_of
from lockgate.records import AuditEntry, Comm, Decision, ExchangeRow, FramesRow, Record, Relation, new_id

START = datetime(2026, 11, 21, 9, 30, 0, 123456, tzinfo=UTC)


def exchange_row(**changes: Any) -> ExchangeRow:
    values: dict[str, Any] = {
        **{"id": new_id(), "started_at": START, "kind": "model", "provider": "anthropic", "host": "api.anthropic.com"},
        **{"endpoint": "/v1/messages", "model": "claude-x", "agent": "claude-code", "session_id": "s-1"},
        **{"project": "p", "token": "t", "client": "127.0.0.1", "policy_set": "v1", "streamed": True},
        **{"status": 200, "outcome": "changed", "stop_reason": "end_turn", "first_byte_ms": 12.5, "duration_ms": 99.25},
        **{"tool_calls": 2, "blocked": 1, "rules": ("no-touch", "mask"), "error": ""},
        "usage": Usage(input_tokens=10, output_tokens=20, cache_read_tokens=30, cache_write_tokens=40),
    }
    values |= changes
    return ExchangeRow(**({"counted_by": "provider" if values["usage"] else "none"} | values))


def comm(exchange_id: str, **changes: Any) -> Comm:
    values: dict[str, Any] = {
        **{"id": new_id(), "exchange_id": exchange_id, "type": "REQUEST", "source": "client", "session_id": "s-1"},
        **{
            "destination": "anthropic",
            "endpoint": "/v1/messages",
            "created_at": START,
            "arguments": {"beta": ["true"]},
        },
        **{"content": b'{"model":"claude-x"}', "headers": (("accept", "*/*"), ("x-twice", "1"), ("x-twice", "2"))},
    }
    return Comm(**(values | changes))


def decision(exchange_id: str, **changes: Any) -> Decision:
    values: dict[str, Any] = {
        **{"exchange_id": exchange_id, "rule": "no-touch", "policy": "tools", "policy_set": "v1", "mode": "enforce"},
        **{"subject": "toolcall", "action": "blocked", "given": b'{"name":"Bash"}', "out": b'{"text":"no"}'},
        **{"score": 0.75, "reason": "it touches", "milliseconds": 1.5, "created_at": START},
    }
    return Decision(**(values | changes))


def audit_entry(**changes: Any) -> AuditEntry:
    values: dict[str, Any] = {
        **{"who": "cli:ada", "where": "local", "act": "token.create", "subject": "token 1", "outcome": "success"},
        **{"reason": "", "before": "", "after": '{"name":"nightly"}'},
    }
    return AuditEntry(**(values | changes))


def frames_row(exchange_id: str, *texts: str) -> FramesRow:
    """Frames that came as these texts: the first was held for 2 ms, the second one changed, and one had no room."""
    came = [(10.5 + at, text.encode("utf-8", "surrogatepass")) for at, text in enumerate(texts or ("one", "two"))]
    final: list[tuple[float, float, bytes | int]] = [(12.5, 2.0, 0), (13.0, 0.0, b"other \xff")]
    final += [(at, 0.0, number) for number, (at, _) in enumerate(came) if number > 1]
    return FramesRow(exchange_id=exchange_id, content=content_of(came, final, ((1, 1204), (0, 0))))


def whole_exchange(**changes: Any) -> list[Record]:
    """An exchange as a proxy records it: request and reply, each changed, and what was decided."""
    row = exchange_row(**changes)
    sent, passed = comm(row.id, content=b'{"a":1}'), comm(row.id, content=b'{"a":2}')
    came = comm(row.id, type="RESPONSE", status=200, content=b'{"b":1}', created_at=START + timedelta(seconds=1))
    given = comm(row.id, type="RESPONSE", status=200, content=b'{"b":2}', created_at=START + timedelta(seconds=2))
    return [
        row,
        *(sent, passed, came, given),
        Relation(from_comm_id=sent.id, to_comm_id=passed.id, type="modified_to", detail={"rule": "mask"}),
        Relation(from_comm_id=passed.id, to_comm_id=came.id, type="request_response"),
        Relation(from_comm_id=came.id, to_comm_id=given.id, type="modified_to"),
        decision(row.id),
    ]
