"""Which hosts and paths carry model traffic; what is tunnelled, what is refused, and where exchanges are sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from mitmproxy import connection, ctx, http, tls
from OpenSSL import SSL

from lockgate.config import Config, Host, is_address
from lockgate.metrics import Metrics
from lockgate.ports import Origin


def allow_pattern(hosts: Iterable[str]) -> str:
    """mitmproxy's `allow_hosts`: connections to other hosts are tunnelled, and no certificate is made for them."""
    return rf"^(?:{'|'.join(re.escape(host) for host in hosts)})\.?(?::\d+)?$"


def reachable(egress: str | Sequence[str], host: str) -> bool:
    """Whether clients may reach a host that is not a model host."""
    if egress == "open":
        return True
    return any(host == name or (name.startswith("*.") and fnmatchcase(host, name)) for name in egress)


class Route:
    """Knows, for each flow, the model host that the client asked for, and sends it where the configuration says."""

    def __init__(self, config: Config, metrics: Metrics | None = None) -> None:
        self.config, self.metrics = config, metrics or Metrics(config.hosts)
        self._asked: WeakKeyDictionary[connection.Client, str] = WeakKeyDictionary()
        self._authorities: dict[tuple[str | None, int], Path] = {
            (url.hostname, url.port or 443): host.upstream_ca
            for host in config.hosts.values()
            if host.upstream and host.upstream_ca and (url := urlsplit(host.upstream))
        }

    def http_connect(self, flow: http.HTTPFlow) -> None:
        asked = _plain(flow.request.host)
        self._asked[flow.client_conn] = asked
        if not (self.config.host(asked) or reachable(self.config.egress, asked)):
            flow.response = self._not_reachable(asked)

    def asked_host(self, flow: http.HTTPFlow) -> str:
        """The host the client asked for: a model host, if its CONNECT, TLS name, address or Host header names one."""
        if (asked := self._asked.get(flow.client_conn)) and asked in self.config.hosts:
            return asked
        names = (asked, flow.client_conn.sni, flow.request.host, flow.request.pretty_host)
        given = [_plain(name) for name in names if name]
        return next((name for name in given if self.config.host(name)), given[0] if given else "")

    def model_host(self, flow: http.HTTPFlow) -> tuple[str, Host] | None:
        """The model host of a flow, and what is known of it; None where the flow is not Lockgate's business."""
        asked = self.asked_host(flow)
        host = self.config.host(asked)
        return (asked, host) if host else None

    def tunnels(self) -> Sequence[tuple[connection.Client, str]]:
        """The connections that a CONNECT opened to hosts that are no model hosts, and these hosts."""
        return [(client, host) for client, host in self._asked.items() if self.config.host(host) is None]

    def refuse_other(self, flow: http.HTTPFlow) -> bool:
        """Answer a plain request to a host out of bounds. Whether it was refused."""
        asked = self.asked_host(flow)
        if reachable(self.config.egress, asked):
            return False
        flow.response = self._not_reachable(asked)
        return True

    def _not_reachable(self, host: str) -> http.Response:
        self.metrics.refused("egress")
        sentence = (
            f"Lockgate: the host {host} may not be reached; add it to 'egress' in the configuration if it should be.\n"
        )
        return http.Response.make(403, sentence, {"content-type": "text/plain; charset=utf-8"})

    def misdirected(self, flow: http.HTTPFlow, asked: str) -> bool:
        """Whether the request names another host than its connection: the checks would be for the wrong one."""
        named = _plain(flow.request.pretty_host)
        connected = flow.client_conn in self._asked
        return named != asked and (connected or self.config.host(named) is not None) and not is_address(named)

    def send(self, flow: http.HTTPFlow, host: Host) -> None:
        """Send the flow to its host's upstream, where it has one."""
        if host.upstream is None:
            return
        url = urlsplit(host.upstream)
        flow.request.scheme = url.scheme
        flow.request.port = url.port or (443 if url.scheme == "https" else 80)
        flow.request.host = url.hostname or ""
        flow.request.path = url.path.rstrip("/") + flow.request.path

    def origin(self, flow: http.HTTPFlow, host: Host) -> Origin:
        """Where the flow's request goes once it is sent, for requests of Lockgate's own that are the same."""
        request = flow.request
        url = f"{(host.upstream or '').rstrip('/')}{request.path}" if host.upstream else request.url
        return Origin(url=url, headers=tuple(request.headers.items(multi=True)), authority=host.upstream_ca)

    def tls_start_server(self, data: tls.TlsData) -> None:
        """Trust an upstream's own authority, and only that, for connections to it."""
        address = cast(connection.Server, data.conn).address
        authority = self._authorities.get(address[:2]) if address else None
        if authority is None:
            return
        addons: Any = ctx.master.addons
        stock = addons.get("tlsconfig")
        stock.tls_start_server(data)  # makes the connection's settings; only its trusted roots are replaced
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(str(authority))
        assert data.ssl_conn
        data.ssl_conn.set_context(context)


def stream_through(flow: http.HTTPFlow) -> None:
    """Pass a request on as it comes, where its length is known; the reply always."""
    headers = flow.request.headers
    flow.request.stream = "content-length" in headers or "transfer-encoding" in headers


def _plain(name: str) -> str:
    return name.lower().rstrip(".")
