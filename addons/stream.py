"""The awaitable stream: a reply may wait for a verdict while every other exchange runs on.

mitmproxy calls `flow.response.stream` synchronously in its event loop. Here what it returns may also be awaited. This
file, seam.py, answers.py and cut.py lean on mitmproxy's layers; tests/addons/test_seam_names.py checks each name they
lean on. It knows bytes only: no wire format, no policy, no deadline.

How: seam.py makes each HTTP layer create `AwaitableHttpStream`. What a stream object returns at
once leaves in the same turn of the loop, joined with what else the same read of upstream brought. What waits runs in
an eager task, and only if that task really suspends, a blocking hook (`ReplyHeldHook`) pauses this one stream; its
events queue meanwhile, and beyond `stream_backlog` bytes the upstream connection is not read.
"""

# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (mitmproxy types its layers only in part, and re-exports their events without saying so)

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal, cast
from weakref import WeakKeyDictionary

from mitmproxy.connection import Server
from mitmproxy.flow import Error as FlowError
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http

from lockgate.addons.cut import Cut, CutDue, CuttableHttpStream
from lockgate.addons.held import EndStream, Held, Output, ReplyStream
from lockgate.addons.pressure import UpstreamGate
from lockgate.errors import Error, told

MEASURE_BYTES = 16 * 1024  # a stream's backlog is measured each time so much went through it
JOIN_BYTES = 16 * 1024  # what one read brought leaves joined, up to the size of a TLS record

log = logging.getLogger(__name__)

type Commands[T] = layer.CommandGenerator[T]


class _GivenUp(Exception):
    """The client left while its reply was held, or the exchange was cut: the event that says so is in the queue."""


@dataclass
class ReplyHeldHook(commands.StartHook):
    """Pauses one HTTP stream until there is something to do for it."""

    held: Held


@dataclass
class _KeepAliveDue(http.HttpEvent):
    """A stream's wakeup, in the shape in which it reaches the state that streams the reply."""


@dataclass
class _Flush(http.HttpEvent):
    """All that one read brought has been dealt with."""


class AwaitableHttpStream(CuttableHttpStream):
    """One exchange on its way, whose reply may wait."""

    _reply: ReplyStream | None = None  # from the moment the reply's head goes out
    _over = False
    _held: Held | None = None
    _given_up = False
    _keep_alive_seconds = 0.0
    _sent_at = 0.0
    _wakeup: commands.RequestWakeup | None = None  # the one that is outstanding
    _queued_bytes = 0  # of the reply, in the queue of a paused stream
    _unmeasured_bytes = 0
    _keeps_body = False
    _ready_bytes = 0

    def __init__(self, context: Context, stream_id: int, http_layer: AwaitableHttpLayer) -> None:
        super().__init__(context, stream_id)
        self.http_layer = http_layer
        self._ready: list[bytes] = []  # leaves when the event that is being handled has been

    @property
    def is_held(self) -> bool:
        return not self._over and (self._held is not None or getattr(self._reply, "holding", False))

    def handle_event(self, event: events.Event) -> Commands[None]:
        """Runs for every event, even while the stream is paused and the event only joins the queue."""
        if isinstance(event, http.ResponseData):
            self._unmeasured_bytes += len(event.data)
            if self._paused:
                self._queued_bytes += len(event.data)
        elif isinstance(event, http.RequestProtocolError):
            self._give_up(event.message)
        elif isinstance(event, events.Wakeup) and event.command is self._wakeup:  # not one of a stream inside CONNECT
            self._wakeup = None
            if self._paused or self._over:
                return
            event = _KeepAliveDue(self.stream_id)
        elif isinstance(event, _Flush):
            yield from self._flush()
            return
        elif isinstance(event, events.Wakeup) and isinstance(due := event.command, CutDue) and due.stream is self:
            event = due.event
            self._give_up(event.message)
        yield from super().handle_event(event)
        if self._unmeasured_bytes >= MEASURE_BYTES:
            self.measure()

    def _give_up(self, reason: str) -> None:
        if self._held:
            self._given_up = True
            self._held.abandon(reason)

    def start_response_stream(self) -> Commands[None]:
        assert self.flow.response
        response, stream = self.flow.response, self.flow.response.stream
        if callable(stream):
            self._reply = cast(ReplyStream, stream)
            self._keep_alive_seconds = getattr(stream, "keep_alive_seconds", 0.0)
            self._keeps_body = self.context.options.store_streamed_bodies
            self._sent_at = time.monotonic()
            response.headers.pop("content-length", None)
        framed = "content-length" in response.headers or "transfer-encoding" in response.headers
        if self.flow.request.is_http11 and not framed and response.status_code not in (204, 304):
            # Stock would delimit by the close, and then a client cannot tell a cut from an end.
            response.headers["transfer-encoding"] = "chunked"
        yield from super().start_response_stream()

    def state_stream_response_body(self, event: events.Event) -> Commands[None]:
        if self._reply is None:
            yield from super().state_stream_response_body(event)
            return
        ends = isinstance(event, http.ResponseEndOfMessage)
        try:
            if self.flow.error:
                raise Error("killed")
            if isinstance(event, http.ResponseData):
                if self._queued_bytes:
                    self._queued_bytes -= len(event.data)
                yield from self._pass_on(self._reply(event.data))
            elif ends:
                yield from self._pass_on(self._reply(b""))
            elif isinstance(event, _KeepAliveDue):
                yield from self._keep_alive()
            elif self.context.client.alpn == b"h2":  # trailers; stock crashes when they are for an HTTP/1 client
                yield from super().state_stream_response_body(event)
        except EndStream:
            yield from self._end(upstream_ended=ends)
        except _GivenUp:
            self.server_state = self._state_unheard  # the event in the queue ends the exchange, and cancels upstream
        except (Exception, asyncio.CancelledError) as error:
            yield from self._abort(told(error), upstream_ended=ends)
        else:
            if ends:
                yield from self._end(upstream_ended=True)
            elif self._keep_alive_seconds:
                yield from self._request_wakeup()

    def _pass_on(self, output: Output) -> Commands[None]:
        if isinstance(output, bytes):
            self._give(output)
        elif isinstance(output, AsyncIterable) or inspect.isawaitable(output):
            yield from self._hold(output)
        else:
            for piece in output:
                self._give(piece)
        if self._ready_bytes >= JOIN_BYTES:
            yield from self._flush()

    def _give(self, piece: bytes) -> None:
        """Lets a piece leave, joined with what else the event that is being handled brings: each write is dear."""
        if not isinstance(piece, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("a stream object gives bytes")
        if not self._ready:
            self.http_layer.ready.append(self)
        self._ready.append(piece)
        self._ready_bytes += len(piece)

    def _flush(self) -> Commands[None]:
        piece, self._ready_bytes = b"".join(self._ready), 0
        self._ready.clear()
        if piece:  # an empty one would be the end of an HTTP/1 reply
            yield self._send(piece)

    def _send(self, piece: bytes) -> http.SendHttp:
        self._unmeasured_bytes += len(piece)
        if self._keep_alive_seconds:
            self._sent_at = time.monotonic()
        if self._keeps_body:
            self.response_body_buf += piece
        return http.SendHttp(http.ResponseData(self.stream_id, piece), self.context.client)

    def _hold(self, output: Awaitable[bytes | Iterable[bytes]] | AsyncIterable[bytes]) -> Commands[None]:
        held = self._held = Held(output)
        try:
            while not held.task.done():
                self._give(held.take())
                held.seconds = self._seconds_to_keep_alive() if self._keep_alive_seconds else None
                yield ReplyHeldHook(held)
                if self._given_up:
                    raise _GivenUp
                if self.flow.error:
                    held.abandon("killed")
                    raise Error("killed")
                if held.is_idle:
                    yield from self._keep_alive()
        finally:
            self._held = None
        self._give(held.take())
        held.task.result()

    def _seconds_to_keep_alive(self) -> float:
        return max(0.0, self._sent_at + self._keep_alive_seconds - time.monotonic())

    def _keep_alive(self) -> Commands[None]:
        assert self._reply
        if not self._seconds_to_keep_alive() and (self._held or self._reply.holding):
            self._sent_at = time.monotonic()
            if piece := self._reply.keep_alive():
                yield self._send(piece)

    def _request_wakeup(self) -> Commands[None]:
        if self._wakeup is None and getattr(self._reply, "holding", False):
            self._wakeup = commands.RequestWakeup(self._seconds_to_keep_alive())
            yield self._wakeup

    def _end(self, *, upstream_ended: bool) -> Commands[None]:
        assert self.flow.response
        yield from self._flush()
        self._over = True
        if self._keeps_body:
            self.flow.response.data.content = bytes(self.response_body_buf)
            self.response_body_buf.clear()
        if upstream_ended:
            yield from self.send_response(already_streamed=True)
            return
        yield from self.cancel_upstream("reply ended early")
        self.client_state = self.state_done  # whatever else it sends, the exchange is over
        yield from self.send_response(already_streamed=True)
        self.client_state = self.server_state = self.state_errored  # takes what still comes, in silence

    def _abort(self, reason: str, *, upstream_ended: bool) -> Commands[None]:
        if not self.flow.error:
            log.error("the reply of %s is aborted: %s", self.flow.request.host, reason)
            self.flow.error = FlowError(f"reply aborted: {reason}")
        yield from self._flush()
        self._close(reason)
        yield from self.reset(reason, upstream_ended=upstream_ended)

    def cut(self, event: Cut) -> Commands[None]:
        if self._reply is None:
            yield from super().cut(event)
        elif not self._over and (words := self._last_words("cut", event.message)):
            self._give(words)
            yield from self._end(upstream_ended=False)
        elif not self._over:
            self.flow.error = FlowError(event.message)
            yield from self._abort(event.message, upstream_ended=False)

    def _state_unheard(self, _: events.Event) -> Commands[None]:
        """Takes what came before the event that ends the exchange is dealt with."""
        yield from ()

    def handle_protocol_error(self, event: http.RequestProtocolError | http.ResponseProtocolError) -> Commands[None]:
        if self._reply is not None and not self._over and not isinstance(event, Cut):
            if isinstance(event, http.ResponseProtocolError):
                self._give(self._last_words("failed", event.message))
                yield from self._flush()
            self._close(event.message, by_client=isinstance(event, http.RequestProtocolError))
        yield from super().handle_protocol_error(event)

    def _last_words(self, method: Literal["failed", "cut"], message: str) -> bytes:
        say: Callable[[str], bytes] | None = getattr(self._reply, method, None)
        try:
            return say(message) if say else b""
        except Exception as error:
            log.error("the stream of a reply could not say its last words: %s", told(error))
            return b""

    def _close(self, reason: str, *, by_client: bool = False) -> None:
        self._over = True
        closed: Callable[[str, bool], None] | None = getattr(self._reply, "closed", None)
        try:
            if closed:
                closed(reason, by_client)
        except Exception as error:
            log.error("the stream of a reply failed in closed(): %s", told(error))

    def measure(self) -> None:
        """Tells the upstream connection's gate whether this stream is congested."""
        self._unmeasured_bytes = 0
        if not self._paused:
            self._queued_bytes = 0
        is_congested = not self._over and self._backlog() > self.context.options.stream_backlog
        if gate := self.http_layer.gates.get(self.context.server):
            gate.mark(self, is_congested)
            (self.http_layer.congested.add if is_congested else self.http_layer.congested.discard)(self)

    def _backlog(self) -> int:
        """Bytes read from upstream that are not on their way to the client."""
        size = self._queued_bytes
        if self._held:  # else only more of the reply can release them, and upstream must be read
            size += getattr(self._reply, "held_bytes", 0)
        connection = self.http_layer.connections.get(self.context.client)
        if isinstance(connection, http.Http2Server):  # its client may keep the window shut
            size += sum(len(chunk.data) for chunk in connection.h2_conn.stream_buffers.get(self.stream_id, ()))
        return size


class AwaitableHttpLayer(http.HttpLayer):
    """Makes awaitable streams, and measures congested ones again after each event: a window may have opened."""

    gates: WeakKeyDictionary[Server, UpstreamGate]
    congested: set[AwaitableHttpStream]
    ready: list[AwaitableHttpStream]  # have something to flush

    def make_stream(self, stream_id: int) -> Commands[None]:
        stream = self.streams[stream_id] = AwaitableHttpStream(self.context.fork(), stream_id, self)
        yield from self.event_to_child(stream, events.Start())

    def _handle_event(self, event: events.Event) -> Commands[None]:
        yield from super()._handle_event(event)
        while self.ready:
            stream = self.ready.pop()
            yield from self.event_to_child(stream, _Flush(stream.stream_id))
        if self.congested:
            for stream in tuple(self.congested):
                stream.measure()
