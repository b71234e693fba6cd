"""A real proxy in the test's own event loop, between byte-level clients and a provider that the test steers.

    async with proxied(tls, MyAddon(), client="h2", upstream="h1") as at:
        client = await at.client()
        reply = await client.send(b"{}")
        served = await at.provider.next()
        await served.start()
        await served.send(b"data: 1\\n\\n")
        await reply.until(b"data: 1")

`tls` is a fixture of the session: `from tests.upstream.proxied import tls  # noqa: F401`, or in a conftest.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy import certs
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.options import Options
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tools.dump import DumpMaster

from tests.upstream.byte_clients import Client, H1Client, H2Client, Headers, Reply, tunnel
from tests.upstream.steered import EVENT_STREAM, Provider, Served
from tests.upstream.waiting import Changes, soon

__all__ = [
    "EVENT_STREAM", "At", "Changes", "Client", "H1Client", "H2Client", "Http", "Provider", "Proxy", "Reply", "Served",
    "Tls", "connect", "make_tls", "proxied", "running_provider", "running_proxy", "soon", "tls", "tunnel",
]  # fmt: skip

type Http = Literal["h1", "h2"]
ALPN: dict[str, str] = {"h1": "http/1.1", "h2": "h2"}
HOSTS = ("localhost", "api.anthropic.com", "api.openai.com", "chatgpt.com", "llm.example.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Authorities and keys of one test run, as files: the proxy's configuration folder and the provider's side."""

    confdir: Path
    provider_ca: Path
    provider_key: Path

    @property
    def proxy_ca(self) -> Path:
        return self.confdir / "mitmproxy-ca-cert.pem"

    def for_provider(self, http: Http) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.provider_key)
        context.set_alpn_protocols([ALPN[http]])
        return context

    def for_client(self, http: Http) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.proxy_ca)
        context.set_alpn_protocols([ALPN[http]])
        return context


def make_tls(folder: Path, *hosts: str) -> Tls:
    """New authorities in a folder; the provider's certificate names the hosts and 127.0.0.1."""
    confdir = folder / "proxy"
    certs.CertStore.from_store(confdir, "mitmproxy", 2048)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Test Provider CA", ca_key.public_key(), "Test Provider CA", ca_key, ())
    leaf = _certificate("provider", key.public_key(), "Test Provider CA", ca_key, hosts or HOSTS)
    provider_ca, provider_key = folder / "provider-ca.pem", folder / "provider.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    provider_ca.write_bytes(authority.public_bytes(pem))
    secret = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    provider_key.write_bytes(secret + leaf.public_bytes(pem))
    return Tls(confdir=confdir, provider_ca=provider_ca, provider_key=provider_key)


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    hosts: tuple[str, ...],
) -> x509.Certificate:
    def called(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder().subject_name(called(name)).issuer_name(called(issuer)).public_key(key)
        .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )  # fmt: skip
    if hosts:
        names = [*map(x509.DNSName, hosts), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    else:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False)  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@dataclass(kw_only=True, eq=False)
class Proxy:
    """A running proxy. `crashes` holds what mitmproxy logged as an error; the context asserts that it stays empty."""

    master: DumpMaster
    port: int
    crashes: list[str] = field(default_factory=list[str])


class _Running:
    """Tells that the proxy listens."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def running(self) -> None:
        self.event.set()


class _Upstream:
    """Speaks the given protocol to the provider, whatever the client speaks."""

    def __init__(self, http: Http) -> None:
        self._offer = ALPN[http].encode()

    def server_connect(self, data: ServerConnectionHookData) -> None:
        data.server.alpn_offers = (self._offer,)


@asynccontextmanager
async def running_proxy(tls: Tls, *addons: object, **options: object) -> AsyncIterator[Proxy]:
    """mitmproxy with these addons (their options may be given too), on a free port of the loopback."""
    known = {"listen_host": "127.0.0.1", "listen_port": 0, "confdir": str(tls.confdir)}
    master = DumpMaster(Options(**known), with_termlog=False, with_dumper=False)
    ready = _Running()
    master.addons.add(*addons, ready)
    master.options.update(
        **{"connection_strategy": "lazy", "ssl_verify_upstream_trusted_ca": str(tls.provider_ca), **options}
    )
    server: Proxyserver = master.addons.get("proxyserver")
    with _crashes() as crashes:
        run = asyncio.ensure_future(master.run())
        started = asyncio.ensure_future(ready.event.wait())
        try:
            await soon(asyncio.wait([run, started], return_when=asyncio.FIRST_COMPLETED))
            if run.done():
                run.result()
            yield Proxy(master=master, port=server.listen_addrs()[0][1], crashes=crashes)
        finally:
            started.cancel()
            await _stop(master, server, run)
    assert not crashes, "\n".join(crashes)


async def _stop(master: DumpMaster, server: Proxyserver, run: asyncio.Future[None]) -> None:
    await server.servers.update([])
    async with asyncio.timeout(30):
        while server.connections:
            for handler in list(server.connections.values()):
                if (io := handler.transports.get(handler.client)) and io.handler:
                    io.handler.cancel()
            await asyncio.sleep(0)
    master.shutdown()
    await soon(run)


@contextmanager
def _crashes() -> Iterator[list[str]]:
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(logging.Formatter().format(record))

    keep, logger = Keep(logging.ERROR), logging.getLogger()
    logger.addHandler(keep)
    try:
        yield found
    finally:
        logger.removeHandler(keep)


@asynccontextmanager
async def running_provider(tls: Tls, http: Http = "h1", port: int = 0) -> AsyncIterator[Provider]:
    async with Provider().listening(tls.for_provider(http), port) as provider:
        yield provider


async def connect(
    proxy: Proxy, tls: Tls, http: Http, port: int, host: str = "localhost", headers: Headers | None = None
) -> H1Client | H2Client:
    """A client whose CONNECT names host and port; `headers` go with the CONNECT."""
    reader, writer = await tunnel(proxy.port, host, port, tls.for_client(http), headers)
    return (H1Client if http == "h1" else H2Client)(reader, writer, f"{host}:{port}")


@dataclass(kw_only=True, eq=False)
class At:
    """A proxy, a provider behind it, and clients on request."""

    proxy: Proxy
    provider: Provider
    tls: Tls
    http: Http
    opened: list[H1Client | H2Client] = field(default_factory=list["H1Client | H2Client"])

    async def client(self, http: Http | None = None, host: str = "localhost") -> H1Client | H2Client:
        client = await connect(self.proxy, self.tls, http or self.http, self.provider.port, host)
        self.opened.append(client)
        return client


@asynccontextmanager
async def proxied(
    tls: Tls, *addons: object, client: Http = "h1", upstream: Http = "h1", **options: object
) -> AsyncIterator[At]:
    """Everything together: the provider, the proxy that speaks `upstream` to it, clients that speak `client`."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(running_provider(tls, upstream))
        proxy = await stack.enter_async_context(running_proxy(tls, *addons, _Upstream(upstream), **options))
        at = At(proxy=proxy, provider=provider, tls=tls, http=client)
        stack.callback(lambda: [client.close() for client in at.opened])
        yield at
