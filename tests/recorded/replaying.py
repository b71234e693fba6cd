"""A recorded session once more: as records for the log's writer, or through a real proxy. No real client is needed.

What a proxy would tell the log, exchange by exchange:

    for exchange in load("claude").exchanges:
        writer.write(records(exchange))

A real Lockgate, with a provider behind it that knows the replies:

    async with replayer(folder, tls, database) as proxy:
        await proxy.replay(load("claude").exchanges)
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lockgate.addons.identify import agent_of, marks_of
from lockgate.addons.master import running
from lockgate.app import build
from lockgate.config import Config, Host, Loaded
from lockgate.records import Comm, ExchangeRow, Record, Relation, new_id
from lockgate.wire.codec import Reply
from lockgate.wire.endpoints import endpoint_for
from tests.recorded.recordings import Exchange
from tests.upstream.byte_clients import H1Client, tunnel
from tests.upstream.byte_clients import Reply as Returned
from tests.upstream.proxied import Provider, Tls, running_provider

BEGAN = datetime(2026, 11, 21, 9, tzinfo=UTC)
FAMILIES = {"api.anthropic.com": "anthropic", "api.openai.com": "openai", "chatgpt.com": "openai"}
FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that belong to a connection, and are made anew."""


def reply_of(exchange: Exchange) -> Reply | None:
    """The reply, read to its end by the codec; None where the exchange is no conversation, or failed."""
    endpoint = endpoint_for(exchange.method, exchange.path)
    if endpoint is None or not endpoint.converses or exchange.status != 200:
        return None
    request = endpoint.format.read_request(exchange.request_body)
    reply = endpoint.format.reply(request, streamed=request.stream, hold_calls=False)
    reply.receive_data(exchange.response_body)
    reply.receive_data(b"")
    return reply


def said(exchange: Exchange) -> bytes:
    """The reply as the JSON text that a whole reply would be; the body as it came where it is no conversation's."""
    reply = reply_of(exchange)
    return exchange.response_body if reply is None else reply.message() or b""


def records(exchange: Exchange, *, id: str | None = None) -> list[Record]:
    """What a proxy that changes nothing tells the log of it: the row as it ends, and both comms, joined."""
    endpoint, reply = endpoint_for(exchange.method, exchange.path), reply_of(exchange)
    converses = endpoint is not None
    headers = {name.lower(): value for name, value in exchange.request_headers}
    row = ExchangeRow(
        id=id or new_id(),
        started_at=BEGAN + timedelta(milliseconds=exchange.asked_ms),
        kind="model" if converses else "other",
        provider=FAMILIES[exchange.host],
        host=exchange.host,
        endpoint=exchange.route if converses else f"{exchange.method} {exchange.route}",
        model=exchange.request["model"] if converses else "",
        agent=agent_of(headers) if converses else "",
        session_id=marks_of(headers, {}).session if converses else "",
        streamed=converses and bool(exchange.request.get("stream")),
        status=exchange.status,
        outcome="passed" if exchange.status < 400 or not converses else "error",
        usage=reply.usage if reply else None,
        first_byte_ms=exchange.first_byte_ms - exchange.asked_ms,
        duration_ms=exchange.ended_ms - exchange.asked_ms,
    )
    asked = _comm(exchange, row, "REQUEST", exchange.request_body if converses else None)
    answered = _comm(exchange, row, "RESPONSE", said(exchange) if converses else None)
    return [row, asked, answered, Relation(from_comm_id=asked.id, to_comm_id=answered.id, type="request_response")]


def _comm(exchange: Exchange, row: ExchangeRow, type: Any, content: bytes | None) -> Comm:
    asks = type == "REQUEST"
    ends = ("client", exchange.host) if asks else (exchange.host, "client")
    after = exchange.asked_ms if asks else exchange.ended_ms
    return Comm(
        id=new_id(),
        exchange_id=row.id,
        session_id=row.session_id,
        type=type,
        source=ends[0],
        destination=ends[1],
        endpoint=f"{exchange.method} {exchange.route}",
        created_at=BEGAN + timedelta(milliseconds=after),
        content=content,
        headers=exchange.request_headers if asks else exchange.response_headers,
        status=None if asks else exchange.status,
    )


@dataclass(kw_only=True, eq=False)
class Replayer:
    """A running Lockgate, its port, and the provider behind it."""

    port: int
    provider: Provider
    trust: ssl.SSLContext

    async def replay(self, exchanges: Iterable[Exchange]) -> list[Returned]:
        """Sends each request as it was, answers it as it was, and gives what the client got, one after the other.

        A connection that asks for WebSockets is left out: Lockgate answers it by itself.
        """
        return [await self._exchange(each) for each in exchanges if each.status != 426]

    async def _exchange(self, exchange: Exchange) -> Returned:
        client = H1Client(*await tunnel(self.port, exchange.host, 443, self.trust), exchange.host)
        try:
            headers = _without_framing(exchange.request_headers)
            returned = await client.send(exchange.request_body, headers, path=exchange.path, method=exchange.method)
            served = await self.provider.next()
            assert (served.path, served.body) == (exchange.path, exchange.request_body)
            await served.reply(
                exchange.response_body, status=exchange.status, headers=_without_framing(exchange.response_headers)
            )
            return await returned.over()
        finally:
            client.close()


def _without_framing(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in FRAMING}


@asynccontextmanager
async def replayer(folder: Path, tls: Tls, database: str, **settings: Any) -> AsyncGenerator[Replayer]:
    """The whole of Lockgate on this database, with its home in `folder`; the log is written when the block ends.

    `tls` is the fixture of `tests.upstream.proxied`, for the provider's side; `settings` go to the configuration.
    """
    async with running_provider(tls) as provider:
        upstream = {"upstream": f"https://127.0.0.1:{provider.port}", "upstream_ca": tls.provider_ca}
        hosts = {host: Host.model_validate({"format": family, **upstream}) for host, family in FAMILIES.items()}
        config = Config.model_validate({"hosts": hosts, "home": folder, "database": database, **settings})
        service = build(Loaded(config=config, file=None, origins={}))
        async with running(service) as port:
            trust = ssl.create_default_context(cafile=config.ca / "mitmproxy-ca-cert.pem")
            yield Replayer(port=port, provider=provider, trust=trust)
