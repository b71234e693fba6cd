"""Exchanges cut from outside, however far they are: refused, ended by their last words, or reset.

With stream.py, seam.py and answers.py the only file that leans on mitmproxy's layers. What is cut, and what its client
is told, whoever cuts it knows. Upstream is cancelled. It costs nothing while nothing is cut.

How: an event of ours enters at the top of a connection's layers, as the answer to a command that none of them sent;
each HTTP layer on its way is told which stream the answer is for. It reaches `handle_protocol_error`, as an upstream's
failure would, and waits its turn where the stream is paused.
"""

# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (mitmproxy types its layers only in part, and re-exports their events without saying so)

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast
from weakref import WeakSet

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client
from mitmproxy.flow import Error as FlowError
from mitmproxy.http import HTTPFlow, Response
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http

from lockgate.addons.answers import AnsweringHttpStream


@dataclass
class Cut(http.ResponseProtocolError):
    """Reaches a stream in its turn, as if its upstream had failed."""

    answer: Callable[[], Response] = lambda: Response.make(400)
    """What the client gets where no reply has begun."""


class CutDue(commands.RequestWakeup):
    """Carries a cut to its stream; it is answered without ever having been asked."""

    def __init__(self, stream: CuttableHttpStream, event: Cut) -> None:
        super().__init__(0.0)
        self.stream, self.event = stream, event


class CuttableHttpStream(AnsweringHttpStream):
    """One exchange, which may be cut."""

    @property
    def is_held(self) -> bool:
        """Whether what came of the reply waits for the rules."""
        return False

    def handle_protocol_error(
        self, event: http.RequestProtocolError | http.ResponseProtocolError
    ) -> CommandGenerator[None]:
        if not isinstance(event, Cut):
            yield from super().handle_protocol_error(event)
        elif self.server_state not in (self.state_done, self.state_errored, self.state_uninitialized):
            yield from self.cut(event)

    def cut(self, event: Cut) -> CommandGenerator[None]:
        """The reply that has not begun is one of ours; one that has is never ended as if it were whole."""
        if self.client_state == self.state_consume_request_body:
            self.request_body_buf.clear()
            self.client_state, self.server_state = self._state_discard, self.state_errored
            yield from self._answer(self._made(event.answer, 400), event.message)
        elif self.client_state == self.state_done and self.server_state in (
            self.state_wait_for_response_headers,
            self.state_consume_response_body,
        ):
            yield from self.cancel_upstream(event.message)
            self.response_body_buf.clear()
            self.client_state = self.server_state = self.state_errored
            yield from self._answer(self._made(event.answer, 400), event.message)
            yield http.DropStream(self.stream_id)
        else:
            yield from self.reset(event.message)

    def reset(self, reason: str, *, upstream_ended: bool = False) -> CommandGenerator[None]:
        """Both sides are told that the exchange broke off."""
        self.flow.error = self.flow.error or FlowError(reason)
        if not upstream_ended:
            yield from self.cancel_upstream(reason)
        yield http.HttpErrorHook(self.flow)
        error = http.ResponseProtocolError(self.stream_id, reason, http.ErrorCode.KILL)
        yield http.SendHttp(error, self.context.client)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield http.DropStream(self.stream_id)

    def cancel_upstream(self, reason: str) -> CommandGenerator[None]:
        layers = self.context.layers
        http_layer = cast(http.HttpLayer, layers[layers.index(self) - 1])
        connection = http_layer.connections.get(self.context.server)
        if isinstance(connection, http.Http2Client) and connection.stream_queue.pop(self.stream_id, None):
            return  # the provider takes no more at once, and has not heard of it
        if connection is not None:
            error = http.RequestProtocolError(self.stream_id, reason, http.ErrorCode.CANCEL)
            yield http.SendHttp(error, self.context.server)

    def make_server_connection(self) -> CommandGenerator[bool]:
        connected = yield from super().make_server_connection()
        is_cut = any(isinstance(each, Cut) for each in self._paused_event_queue)  # while it was connected
        return connected and not is_cut


class Exchanges:
    """What is under way in this mitmproxy."""

    def __init__(self) -> None:
        self.layers: WeakSet[http.HttpLayer] = WeakSet()

    def open(self) -> Iterator[HTTPFlow]:
        for stream in self._streams():
            yield stream.flow

    @property
    def held(self) -> int:
        """How many replies wait for the rules."""
        return sum(stream.is_held for stream in self._streams())

    def cut(self, flow: HTTPFlow, reason: str, answer: Callable[[], Response]) -> None:
        """End it as soon as the event loop comes to it."""
        stream = next((stream for stream in self._streams() if stream.flow is flow), None)
        handler = stream and proxyserver().connections.get(stream.context.client.id)
        if not (stream and handler):  # one that mitmproxy sends again
            if flow.killable:
                flow.kill()
            return
        due = CutDue(stream, Cut(stream.stream_id, reason, http.ErrorCode.KILL, answer))
        for layer, child in pairwise(stream.context.layers):
            if isinstance(layer, http.HttpLayer):
                layer.command_sources[due] = child
        _spawn(handler.server_event(events.Wakeup(due)))

    def drop(self, client: Client) -> None:
        """Close a client's connection, with all that it carries."""
        handler = proxyserver().connections.get(client.id)
        if handler and (transport := handler.transports.get(client)) and transport.handler:
            transport.handler.cancel("stopped")

    def _streams(self) -> Iterator[CuttableHttpStream]:
        for layer in list(self.layers):
            for stream in list(layer.streams.values()):
                if hasattr(stream, "flow") and stream.flow.request.method != "CONNECT":
                    yield cast(CuttableHttpStream, stream)


_spawned: set[asyncio.Future[None]] = set()  # the loop's references are weak


def _spawn(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    _spawned.add(task)
    task.add_done_callback(_spawned.discard)


def proxyserver() -> Proxyserver:
    return cast(Proxyserver, ctx.master.addons.get("proxyserver"))
