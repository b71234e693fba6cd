"""A TLS server on the loopback address with a leaf from mitmproxy's own store, and the proxy that leads to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import DNSName
from mitmproxy.certs import CertStore

_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@dataclass(kw_only=True)
class Site:
    """What came in: the targets that the proxy was asked for, and the first lines of the requests after TLS."""

    proxy_url: str = ""
    targets: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])


@asynccontextmanager
async def site(authority_folder: Path, host: str, folder: Path) -> AsyncIterator[Site]:
    """Serves `host`; its proxy sends whatever it is asked for there."""
    seen = Site()
    server_side = _server_side(authority_folder, host, folder)
    tls = await asyncio.start_server(lambda r, w: _answer(r, w, seen), "127.0.0.1", 0, ssl=server_side)
    port = tls.sockets[0].getsockname()[1]
    proxy = await asyncio.start_server(lambda r, w: _tunnel(r, w, seen, port), "127.0.0.1", 0)
    seen.proxy_url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    try:
        yield seen
    finally:
        for server in (proxy, tls):
            server.close()
            await server.wait_closed()


def _server_side(authority_folder: Path, host: str, folder: Path) -> ssl.SSLContext:
    entry = CertStore.from_store(authority_folder, "mitmproxy", 2048).get_cert(host, [DNSName(host)])
    key = entry.privatekey.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    leaf = folder / "leaf.pem"
    leaf.write_bytes(entry.cert.to_pem() + b"".join(above.to_pem() for above in entry.chain_certs) + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    return context


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Site) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.requests.append(head.partition(b"\r\n")[0].decode())
        writer.write(_REPLY)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # a client that does not like the certificate
    finally:
        await _close(writer)


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Site, port: int) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.targets.append(head.split(b" ", 2)[1].decode())
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
    except (OSError, asyncio.IncompleteReadError):
        await _close(writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
