"""What every request passes before any route sees it: its host, its origin, its size, and how long it takes to come."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lockgate.admin.problems import Problem
from lockgate.config import is_address
from lockgate.errors import told
from lockgate.sections import Admin

logger = logging.getLogger("lockgate.admin")

AT_ONCE = 256
"""Requests under way; more are told to come again."""
BODY_SECONDS = 20.0
"""How long a body may take to come."""
HEAD_BYTES = 16 * 1024
CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """ASGI around the app. What nobody expected ends here as 500, and its place is in the log."""

    def __init__(self, app: ASGIApp, settings: Admin) -> None:
        self._app, self._settings = app, settings
        self._known = frozenset(host.lower() for host in settings.hosts)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        guarded = _Guarded(send)
        self._under_way += 1
        try:
            if self._under_way > AT_ONCE:
                raise Problem(503, "too many requests at the same time", headers={"retry-after": "1"})
            headers = Headers(scope=scope)
            if sum(len(name) + len(value) for name, value in headers.raw) + len(scope["raw_path"]) > HEAD_BYTES:
                raise Problem(431, headers={"connection": "close"})
            self._check_host(headers)
            if scope["method"] not in CHANGES_NOTHING:
                self._check_origin(headers)
            body = await self._body(headers, receive)
            await self._app(scope, body, guarded)
        except Problem as problem:
            await problem.response()(scope, receive, guarded)
        except Exception as error:
            logger.error("%s %s failed: %s", scope["method"], scope["path"][:200].encode(), told(error))
            if guarded.began:
                raise
            await Problem(500).response()(scope, receive, guarded)
        finally:
            self._under_way -= 1

    def _check_host(self, headers: Headers) -> None:
        """A page elsewhere may have its own name lead here; then the browser takes it for ours (DNS rebinding)."""
        host = headers.get("host", "").lower()
        name = _without_port(host)
        if not (is_address(name) or name == "localhost" or host in self._known or name in self._known):
            raise Problem(421, "this host is not known by that name: its operator adds it to admin.hosts")

    def _check_origin(self, headers: Headers) -> None:
        """Pages of other origins change nothing here, not even on another port of this machine."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, "pages of other sites change nothing here", code="cross_origin")
        if (origin := headers.get("origin")) is None:
            return
        place = urlsplit(origin).netloc.lower() if "://" in origin else ""
        if not place or (place != headers.get("host", "").lower() and place not in self._known):
            raise Problem(403, "pages of other origins change nothing here", code="cross_origin")

    async def _body(self, headers: Headers, receive: Receive) -> Receive:
        """The whole body, read before anything else happens, and given again as one."""
        most, length = self._settings.request_bytes, headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal() or int(length) > most:
            raise Problem(413, f"a request has at most {most:,} bytes", headers={"connection": "close"})
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise Problem(413, f"a request has at most {most:,} bytes", headers={"connection": "close"})
        except TimeoutError as error:
            raise Problem(408, headers={"connection": "close"}) from error
        return _again(bytes(body), receive)


class _Guarded:
    """Sends with the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _again(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
