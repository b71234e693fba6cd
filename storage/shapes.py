"""Records of the log as programs read them: JSON documents. Nothing here reads the log."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from lockgate.records import Comm, CommType, ExchangeRow
from lockgate.storage.answers import USAGE_FIELDS, ExchangeDetail, Hit, Marks, Session, Told
from lockgate.wire.document import loads_plain

CHANGES: tuple[tuple[str, CommType], ...] = (("request", "REQUEST"), ("reply", "RESPONSE"))


def detail_json(detail: ExchangeDetail, marks: Marks | None = None) -> dict[str, Any]:
    """The whole exchange; bodies are documents, as they were sent."""
    return {
        "exchange": row_json(detail.exchange, marks),
        "comms": [
            {**dated(comm), "content": document(comm.content), "joined": _how(detail, comm)} for comm in detail.comms
        ],
        "relations": [dated(one) for one in detail.relations],
        "decisions": [
            {**dated(one), "given": document(one.given), "out": document(one.out)} for one in detail.decisions
        ],
        "related": [row_json(row) for row in detail.related],
    }


def _how(detail: ExchangeDetail, comm: Comm) -> dict[str, Any] | None:
    """How a body that is stored in parts came back; None for one that is stored whole."""
    return asdict(detail.joined[comm.id]) if comm.id in detail.joined else None


def row_json(row: ExchangeRow, marks: Marks | None = None) -> dict[str, Any]:
    """With `labels` and `notes` where marks are given."""
    return dated(row) | (marks_json(marks) if marks else {})


def marks_json(marks: Marks) -> dict[str, Any]:
    notes = [dated(note) for note in marks.notes]
    return {"labels": list(marks.labels), "session_labels": list(marks.session_labels), "notes": notes}


def document(content: bytes | None) -> Any:
    """The document in a body, exact to the last digit; its text where it is none; None where there is nothing."""
    if not content:
        return None
    if (found := loads_plain(content)) is not None:  # in half the time
        return found
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def session_json(one: Session) -> dict[str, Any]:
    """The session's own row and its sums as one; digests in hexadecimal."""
    values = asdict(one)
    row = values.pop("row")
    row |= {name: row[name].hex() for name in ("node", "opening")}
    return _plain(row | values)


def told_json(conversation: Sequence[Told]) -> list[dict[str, Any]]:
    return [
        {"exchange": row_json(told.exchange), "texts": [{"role": role, "text": text} for role, text in told.texts]}
        for told in conversation
    ]


def hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "exchange": row_json(hit.exchange),
        "comm_id": hit.comm_id,
        "role": hit.role,
        "score": hit.score,
        "excerpt": asdict(hit.excerpt),
    }


def changes(detail: ExchangeDetail) -> Iterator[tuple[str, Comm, Comm]]:
    """The request and the reply, as far as they were changed: name, original, final."""
    for name, type in CHANGES:
        chain = detail.chain(type)
        if len(chain) > 1:
            yield name, chain[0], chain[-1]


def diff(name: str, original: Comm, final: Comm) -> list[str]:
    """A unified diff of two bodies as indented JSON; [] where only the spelling differs."""
    before, after = _lines(original.content), _lines(final.content)
    return list(difflib.unified_diff(before, after, f"{name} (original)", f"{name} (final)", lineterm=""))


def _lines(content: bytes | None) -> list[str]:
    return json.dumps(document(content), indent=2, ensure_ascii=False).splitlines()


def dated(record: Any) -> dict[str, Any]:
    """A record of plain values, its moments as text."""
    return _plain(asdict(record))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
    usage = plain.get("usage")  # None where nothing was counted
    return plain | {"usage": {name: usage[name] for name in USAGE_FIELDS}} if usage else plain
