"""uvicorn in the loop of the proxy: no signal handlers, no words in the log, and patience with an end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Generator
from typing import Any, cast

import h11
from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from lockgate.admin.guard import HEAD_BYTES
from lockgate.admin.problems import Problem

HEAD_SECONDS = 10.0
"""How long a connection may take for the head of its next request."""
CONNECTIONS = 512
CLOSE_SECONDS = 5


class Http(H11Protocol):
    """One connection. uvicorn itself waits for a head for ever, and says what is no HTTP in plain text."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self._await_head()  # from the first byte on: more of them change nothing
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        answer = Problem(400).response()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        events: tuple[h11.Event, ...] = (
            h11.Response(status_code=400, headers=headers), h11.Data(data=bytes(answer.body)), h11.EndOfMessage()
        )  # fmt: skip
        with contextlib.suppress(h11.LocalProtocolError):  # an answer is under way
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()

    def _await_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(Server):
    """The loop is the proxy's, and so are the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def server_of(app: FastAPI) -> Server:
    """To be run by `serve(sockets=[…])`, and ended by `should_exit`."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what clients do wrong is theirs to know
    options: dict[str, Any] = {
        "http": Http, "ws": "none", "lifespan": "off", "log_config": None, "access_log": False,
        "proxy_headers": False, "server_header": False, "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": CLOSE_SECONDS, "h11_max_incomplete_event_size": HEAD_BYTES,
    }  # fmt: skip
    return _Server(Config(app, **options))
