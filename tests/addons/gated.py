"""Lockgate's whole gate between byte-level clients and a provider that the test steers, with a log kept in memory."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lockgate.addons.door import Door
from lockgate.addons.gate import Gate
from lockgate.addons.route import Route
from lockgate.addons.service import Service
from lockgate.config import Config, Host, RuleConfig
from lockgate.errors import StorageError
from lockgate.exchange import Ports
from lockgate.policies.registry import PolicySet, Registry, load_policy, load_rules
from lockgate.records import Comm, Decision, ExchangeRow, Kill, Record, Relation
from lockgate.routing.models import HttpModels
from tests.upstream.byte_clients import H1Client, H2Client, tunnel
from tests.upstream.proxied import Changes, Http, Provider, Proxy, Tls, connect, running_provider, running_proxy

ANTHROPIC, OPENAI = "api.anthropic.com", "api.openai.com"
DIRECT = {"localhost": Host(format="anthropic")}
"""A model host without an upstream: whatever the gate forgot to send elsewhere reaches the provider all the same."""


@dataclass(kw_only=True, eq=False)
class Kept:
    """A CommLog that keeps everything. Where `full` says why, no new exchange may begin."""

    full: str = ""
    records: list[Record] = field(default_factory=list[Record])
    changes: Changes = field(default_factory=Changes)

    async def ready(self) -> None:
        if self.full:
            raise StorageError(self.full)

    def put(self, records: Sequence[Record]) -> None:
        self.records += records
        self.changes.tell()

    def of[Kind: Record](self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def comms(self) -> list[Comm]:
        return self.of(Comm)

    @property
    def relations(self) -> list[Relation]:
        return self.of(Relation)

    @property
    def decisions(self) -> list[Decision]:
        return self.of(Decision)

    async def ended(self, count: int = 1) -> list[ExchangeRow]:
        """The rows of the exchanges that ended, when there are so many."""
        rows: list[ExchangeRow] = []

        def there() -> bool:
            rows[:] = [row for row in self.of(ExchangeRow) if row.outcome != "open"]
            return len(rows) >= count

        await self.changes.until(there)
        return rows


@dataclass(kw_only=True, eq=False)
class Gated:
    """A running gate. `rules` may be swapped while it runs."""

    proxy: Proxy
    provider: Provider
    tls: Tls
    http: Http
    log: Kept
    registry: Registry
    finished: list[ExchangeRow]
    gate: Gate
    clients: list[H1Client | H2Client] = field(default_factory=list[H1Client | H2Client])

    async def client(
        self, host: str = ANTHROPIC, http: Http | None = None, *, proxy_auth: str = ""
    ) -> H1Client | H2Client:
        """`proxy_auth` are the credentials of the proxy's URL, as USER:PASSWORD."""
        shown = {"proxy-authorization": f"Basic {b64encode(proxy_auth.encode()).decode()}"} if proxy_auth else None
        client = await connect(self.proxy, self.tls, http or self.http, self._port(host), host, shown)
        client.host = host
        self.clients.append(client)
        return client

    async def bare_client(self, host: str, alpn: Sequence[str]) -> H1Client:
        """A client that offers these protocols, or none, and whose bytes the test writes itself."""
        context = ssl.create_default_context(cafile=self.tls.proxy_ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        client = H1Client(*await tunnel(self.proxy.port, host, self._port(host), context), host)
        self.clients.append(client)
        return client

    def _port(self, host: str) -> int:
        return self.provider.port if host in DIRECT else 443

    def stop(self, *kills: Kill) -> None:
        """These are in force now, and no others."""
        self.gate.stops.switch.replace(kills)
        self.gate.stop_exchanges()

    @property
    def under_way(self) -> int:
        """How many exchanges the gate still keeps in mind."""
        return len(self.gate.passages)


def rules(*given: Mapping[str, Any]) -> PolicySet:
    """A policy set of rules as a configuration file holds them."""
    return load_rules([RuleConfig.model_validate(rule) for rule in given])


@asynccontextmanager
async def gated(
    tls: Tls,
    *given: Mapping[str, Any],
    client: Http = "h1",
    upstream: Http = "h1",
    addons: Sequence[object] = (),
    door: Callable[[Config], Door] | None = None,
    ports: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncGenerator[Gated, None]:
    """The gate with these rules, and addons after it; every model host is sent to the steered provider.

    `ports` are further ones than log and models.
    """
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(running_provider(tls, upstream))
        url = f"https://127.0.0.1:{provider.port}"
        hosts = {
            name: Host(format=family, upstream=url, upstream_ca=tls.provider_ca)
            for name, family in ((ANTHROPIC, "anthropic"), (OPENAI, "openai"), ("chatgpt.com", "openai"))
        }
        config = Config.model_validate({"hosts": hosts, "home": tls.confdir.parent, "ca": tls.confdir, **settings})
        log, finished = Kept(), list[ExchangeRow]()
        models = HttpModels(log)
        stack.push_async_callback(models.close)
        registry, route = Registry(rules(*given)), Route(config)
        gate = Gate(
            config, route, registry, Ports(log=log, models=models, **ports or {}),
            lambda row, x: finished.append(row), door=door(config) if door else None,
        )  # fmt: skip
        service = Service(
            config=config, gate=gate, route=route, registry=registry, read_rules=lambda: registry.current, watched=list
        )
        proxy = await stack.enter_async_context(running_proxy(tls, service, _Offer(upstream), *addons))
        at = Gated(
            proxy=proxy, provider=provider, tls=tls, http=client, log=log, registry=registry, finished=finished,
            gate=gate,
        )  # fmt: skip
        stack.callback(lambda: [client.close() for client in at.clients])
        yield at


class _Offer:
    """Speaks the given protocol to the provider, whatever the client speaks."""

    def __init__(self, http: Http) -> None:
        self._offer = (b"h2" if http == "h2" else b"http/1.1",)

    def server_connect(self, data: Any) -> None:
        data.server.alpn_offers = self._offer


__all__ = ["ANTHROPIC", "DIRECT", "OPENAI", "Gated", "Kept", "gated", "load_policy", "rules"]
