"""HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as the client saw the exchange. Values only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, cast
from urllib.parse import urlencode

from lockgate.records import Comm, ExchangeRow
from lockgate.storage.answers import ExchangeDetail

HEAD = (
    f'{{"log": {{"version": "1.2", "creator": {{"name": "Lockgate", "version": {json.dumps(version("lockgate"))}}},'
    ' "entries": [\n'
)
FOOT = "\n]}}\n"
UNKNOWN = -1
"""What the format writes for a size or a time that nobody took."""


def entry(detail: ExchangeDetail) -> dict[str, Any]:
    """The request as the client sent it, and the reply as it got it. A reply that was streamed is told whole."""
    row = detail.exchange
    request, reply = detail.chain("REQUEST")[:1], detail.chain("RESPONSE")[-1:]
    damage = [f"damaged in the log: {how.damage}" for how in detail.joined.values() if how.damage]
    total = row.duration_ms or 0.0
    wait = min(row.first_byte_ms if row.first_byte_ms is not None else total, total)
    return {
        "startedDateTime": row.started_at.isoformat(),
        "time": total,
        "request": _request(row, request[0] if request else None),
        "response": _response(row, reply[0] if reply else None),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": total - wait},
        "comment": "; ".join((f"Lockgate exchange {row.id}: {row.outcome}", *damage)),
    }


def _request(row: ExchangeRow, comm: Comm | None) -> dict[str, Any]:
    method, _, path = row.endpoint.rpartition(" ")
    arguments: Mapping[str, Any] = comm.arguments if comm else {}
    query = [(name, value) for name, values in arguments.items() for value in listed(values)]
    url = f"https://{row.host}{path}" + (f"?{urlencode(query)}" if query else "")
    told: dict[str, Any] = {
        "method": method or "POST",
        "url": url,
        "queryString": [{"name": name, "value": value} for name, value in query],
        **_message(comm),
    }
    if comm and comm.content:
        told["postData"] = {"mimeType": _type_of(comm), "params": [], "text": _text(comm)}
    return told


def _response(row: ExchangeRow, comm: Comm | None) -> dict[str, Any]:
    """Status 0 is what browsers write where no reply came."""
    status = (comm.status if comm else None) or row.status or 0
    content: dict[str, Any] = {"size": len(comm.content or b"") if comm else 0, "mimeType": _type_of(comm)}
    if comm and comm.content:
        content["text"] = _text(comm)
    known = status in HTTPStatus
    text = HTTPStatus(status).phrase if known else ""
    return {"status": status, "statusText": text, "content": content, "redirectURL": "", **_message(comm)}


def _message(comm: Comm | None) -> dict[str, Any]:
    """The version is not recorded; the body's size on the wire is not either, after its encoding was undone."""
    return {
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in (comm.headers if comm else ())],
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN if comm and comm.content else 0,
    }


def listed(value: Any) -> list[str]:
    """The values of one name in a query string."""
    return list(map(str, cast(list[Any], value))) if isinstance(value, list) else [str(value)]


def _text(comm: Comm) -> str:
    return (comm.content or b"").decode("utf-8", "replace")


def _type_of(comm: Comm | None) -> str:
    """Bodies are kept as JSON text, whatever the wire had."""
    return "application/json" if comm and comm.content else "x-unknown"
