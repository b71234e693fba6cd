"""What is remembered of a flow: the comms, relations and rows that the log gets. No decision is made here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mitmproxy import http

from lockgate.ports import CommLog
from lockgate.records import Comm, ExchangeRow, Record, Relation, RelationType, new_id, now
from lockgate.redaction import redact_headers, redact_query

CLIENT = "client"
PROXY = "lockgate"
"""The parties of a comm, beside the model host."""


class Recorder:
    """Puts the comms of one exchange into the log, each joined to the one before it."""

    def __init__(self, flow: http.HTTPFlow, log: CommLog, exchange_id: str, session_id: str, host: str) -> None:
        self.flow, self.log = flow, log
        self._exchange_id, self._session_id, self._host = exchange_id, session_id, host
        self._request_id = ""
        self.given_id = new_id()
        """The comm that will hold the reply as the client gets it."""

    def request(self, id: str, content: bytes | None, *, to: str) -> Sequence[Record]:
        """The request as the client sent it."""
        self._request_id = id
        flow = self.flow
        return (
            Comm(
                id=id, exchange_id=self._exchange_id, session_id=self._session_id, type="REQUEST", source=CLIENT,
                destination=to, endpoint=endpoint_of(flow), content=content, headers=headers_of(flow.request),
                arguments=dict(redact_query(flow.request.query.items(multi=True))),
                created_at=time_of(flow.request.timestamp_start),
            ),
        )  # fmt: skip

    def continued(self, comm_id: str) -> Sequence[Record]:
        """The request goes on from this reply."""
        return (Relation(from_comm_id=comm_id, to_comm_id=self._request_id, type="continues"),)

    def changed_request(self, content: bytes) -> Sequence[Record]:
        """The request that the rules made of it, which goes to the provider."""
        flow = self.flow
        comm = Comm(
            id=new_id(), exchange_id=self._exchange_id, session_id=self._session_id, type="REQUEST", source=PROXY,
            destination=self._host, endpoint=endpoint_of(flow), content=content, headers=headers_of(flow.request),
            created_at=now(),
        )  # fmt: skip
        return (comm, _joined(self._request_id, comm, "modified_to"))

    def reply(self, came: bytes | None, final: bytes | None) -> Sequence[Record]:
        """The reply that came; where the rules changed it, also the one that went on."""
        if final is None:
            comm = self._response(self._host, CLIENT, came, id=self.given_id)
            return (comm, _joined(self._request_id, comm, "request_response"))
        original = self._response(self._host, PROXY, came)
        changed = self._response(PROXY, CLIENT, final, id=self.given_id)
        return (
            original,
            changed,
            _joined(self._request_id, original, "request_response"),
            _joined(original.id, changed, "modified_to"),
        )

    def refusal(self, content: bytes | None) -> Sequence[Record]:
        """The answer of Lockgate's own to a request that was never sent."""
        comm = self._response(PROXY, CLIENT, content, id=self.given_id)
        return (comm, _joined(self._request_id, comm, "request_response"))

    def _response(self, source: str, destination: str, content: bytes | None, *, id: str = "") -> Comm:
        response = self.flow.response
        return Comm(
            id=id or new_id(), exchange_id=self._exchange_id, session_id=self._session_id, type="RESPONSE",
            source=source, destination=destination, endpoint=endpoint_of(self.flow), content=content,
            headers=headers_of(response) if response else (), status=response.status_code if response else None,
            created_at=now(),
        )  # fmt: skip


def record_side_call(flow: http.HTTPFlow, log: CommLog, provider: str, host: str, refused: str = "") -> ExchangeRow:
    """Remember an exchange that carries no conversation: that it passed, without its bodies. Gives its row."""
    row = ExchangeRow(
        id=new_id(), started_at=time_of(flow.request.timestamp_start), kind="other", provider=provider, host=host,
        endpoint=endpoint_of(flow), client=client_of(flow),
        status=flow.response.status_code if flow.response else None,
        outcome="refused" if refused else "passed" if flow.response and not flow.error else "error",
        error=refused or (flow.error.msg if flow.error else ""), duration_ms=_elapsed(flow),
    )  # fmt: skip
    recorder = Recorder(flow, log, row.id, "", host)
    request = recorder.request(new_id(), None, to=PROXY if refused else host)
    reply = recorder.refusal(None) if refused else recorder.reply(None, None) if flow.response else ()
    log.put((row, *request, *reply))
    return row


def endpoint_of(flow: http.HTTPFlow) -> str:
    return f"{flow.request.method} {flow.request.path.partition('?')[0]}"


def headers_of(message: http.Message) -> list[tuple[str, str]]:
    """The headers, with no credential in them."""
    return redact_headers(message.headers.items(multi=True))


def client_of(flow: http.HTTPFlow) -> str:
    """The client's address, without its port."""
    peer = flow.client_conn.peername
    return peer[0] if peer else ""


def time_of(seconds: float | None) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) if seconds else now()


def _elapsed(flow: http.HTTPFlow) -> float | None:
    end = flow.response.timestamp_end if flow.response else None
    begin = flow.request.timestamp_start
    return round((end - begin) * 1000, 3) if end and begin else None


def _joined(first: str, second: Comm, type: RelationType) -> Relation:
    return Relation(from_comm_id=first, to_comm_id=second.id, type=type)
