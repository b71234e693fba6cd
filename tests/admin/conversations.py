"""Sessions in the log as agents hold them, with calls, results, thinking and images; small enough for tests."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

from lockgate.records import Record, Relation, SessionRow, new_id
from tests.storage.records import START, comm, decision, exchange_row

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
"""Long enough to be kept apart; no picture, so that tests ask for its bytes only."""


def dumps(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def image(content: bytes = PNG) -> dict[str, Any]:
    data = base64.b64encode(content).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def conversation(turns: int, *, text: str = "", window: int = 0, **session: Any) -> list[Record]:
    """A session of so many turns, each a thought, a sentence and a call whose result the next request brings.

    With a window, requests hold only so many of the last messages, so that long sessions are soon made.
    """
    fields: dict[str, Any] = {"id": new_id(), "started_at": START, "agent": "claude-code", "title": "tidy up"}
    opened = SessionRow(**fields | session)
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": f"tidy up {text}"}, image()]}
    ]
    records: list[Record] = [opened]
    for turn in range(turns):
        at = START + timedelta(seconds=turn)
        row = exchange_row(session_id=opened.id, started_at=at, endpoint="POST /v1/messages", rules=(), blocked=0)
        said = [
            {"type": "thinking", "thinking": f"thought {turn} {text}", "signature": "s"},
            {"type": "text", "text": f"**Step {turn}** {text}"},
            {
                "type": "tool_use",
                "id": f"call_{turn}",
                "name": f"Bash{text}",
                "input": {"command": f"ls {turn} {text}"},
            },
        ]
        reply = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "claude-x", "content": said,
                 "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
        request = {"model": "claude-x", "max_tokens": 1, "messages": messages[-window:]}
        asked = comm(row.id, endpoint=row.endpoint, session_id=opened.id, content=dumps(request), created_at=at)
        answered = comm(row.id, type="RESPONSE", endpoint=row.endpoint, session_id=opened.id, status=200,
                        content=dumps(reply), created_at=at)  # fmt: skip
        records += [row, asked, answered]
        records.append(Relation(from_comm_id=asked.id, to_comm_id=answered.id, type="request_response"))
        if turn % 10 == 3:
            records.append(decision(row.id, rule="no-rm", reason=f"because {text}"))
        result = {"type": "tool_result", "tool_use_id": f"call_{turn}", "content": f"result {turn} {text}"}
        messages = [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
    return records
