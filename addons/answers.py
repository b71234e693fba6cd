"""Answers in the provider's words where mitmproxy would answer in its own: a body that is too long, counted on bytes
read, and a provider that gives no reply. And an HTTP/2 request is framed for an HTTP/1 provider.

With stream.py, seam.py and cut.py the only file that leans on mitmproxy's layers. The addon that knows the provider
puts an `Answers` into `flow.metadata[ANSWERS]` in its `requestheaders` hook. Upstream hears of no request that is
refused.
"""

# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (mitmproxy types its layers only in part, and re-exports their events without saying so)

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from mitmproxy.flow import Error as FlowError
from mitmproxy.http import Response
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http

from lockgate.errors import told

ANSWERS = "lockgate_answers"
CLIENT_LEFT = "lockgate_client_left"
"""In a flow's metadata when its client left before the end."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How many bytes are taken, and what is answered where there are more, or where there is no reply."""

    request_bytes: int
    reply_bytes: int
    """Of a reply that is not streamed."""
    oversize: Callable[[], Response]
    """Refuses a request that is longer."""
    unanswered: Callable[[str], Response]
    """Stands in for the reply that did not come, or not whole; given the reason."""
    left: Callable[[], None] = lambda: None
    """Told at once when the client leaves while a hook is waited for."""


class AnsweringHttpStream(http.HttpStream):
    """One exchange, whose failures are told in the words of the addon that knows its provider."""

    _answers: Answers | None = None
    _discarded = 0

    def state_wait_for_request_headers(self, event: http.RequestHeaders) -> CommandGenerator[None]:
        steps, answer = super().state_wait_for_request_headers(event), None
        while True:
            try:
                command = steps.send(answer)
            except StopIteration:
                return
            answer = yield command
            if (
                isinstance(command, http.HttpRequestHeadersHook)
                and not event.end_stream
                and self._is_announced_oversize()
            ):
                steps.close()  # before `100 Continue` asks for the body
                yield from self._refuse()
                return

    def _is_announced_oversize(self) -> bool:
        # Taken out of the metadata: mitmproxy writes that to files, and a function cannot be written.
        self._answers = cast(Answers | None, self.flow.metadata.pop(ANSWERS, None))
        length = cast(str, self.flow.request.headers.get("content-length", ""))
        if self._answers is None or self.flow.error or not length.isdecimal():
            return False
        return int(length) > self._answers.request_bytes

    def check_body_size(self, request: bool) -> CommandGenerator[bool]:
        if self._answers is None:
            return (yield from super().check_body_size(request))
        if request and len(self.request_body_buf) > self._answers.request_bytes:
            yield from self._refuse()
            return True
        if not request and len(self.response_body_buf) > self._answers.reply_bytes:
            reason = f"the reply is larger than {self._answers.reply_bytes} bytes"
            cancel = http.RequestProtocolError(self.stream_id, reason, http.ErrorCode.CANCEL)
            yield http.SendHttp(cancel, self.context.server)
            yield from self._stand_in(reason)
            return True
        return False

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Runs for every event, even while a hook is waited for and the event only joins the queue."""
        if isinstance(event, http.RequestProtocolError) and self._paused and self._answers:
            self.flow.metadata[CLIENT_LEFT] = True
            self._answers.left()
        yield from super().handle_event(event)

    def handle_protocol_error(
        self, event: http.RequestProtocolError | http.ResponseProtocolError
    ) -> CommandGenerator[None]:
        if isinstance(event, http.RequestProtocolError):
            self.flow.metadata[CLIENT_LEFT] = True
        untold = self.server_state in (self.state_wait_for_response_headers, self.state_consume_response_body)
        if isinstance(event, http.ResponseProtocolError) and untold and self._answers and not self.flow.error:
            yield from self._stand_in(event.message)
        else:
            yield from super().handle_protocol_error(event)

    def check_killed(self, emit_error_hook: bool) -> CommandGenerator[bool]:
        if any(isinstance(each, http.RequestProtocolError) for each in self._paused_event_queue):
            self.flow.metadata[CLIENT_LEFT] = True  # while a hook waited; stock tells it from here
        return (yield from super().check_killed(emit_error_hook))

    def _refuse(self) -> CommandGenerator[None]:
        assert self._answers
        self.request_body_buf.clear()
        self.client_state, self.server_state = self._state_discard, self.state_errored
        reason = f"request body exceeds {self._answers.request_bytes} bytes"
        yield from self._answer(self._made(self._answers.oversize, 413), reason)

    def _stand_in(self, reason: str) -> CommandGenerator[None]:
        assert self._answers
        say = self._answers.unanswered
        self.response_body_buf.clear()
        self.client_state = self.server_state = self.state_errored
        yield from self._answer(self._made(lambda: say(reason), 502), reason)
        yield http.DropStream(self.stream_id)

    def _answer(self, response: Response, reason: str) -> CommandGenerator[None]:
        self.flow.response, self.flow.error, self.flow.live = response, FlowError(reason), False
        yield http.HttpErrorHook(self.flow)
        content = response.raw_content or b""
        yield http.SendHttp(http.ResponseHeaders(self.stream_id, response, not content), self.context.client)
        if content:
            yield http.SendHttp(http.ResponseData(self.stream_id, content), self.context.client)
        yield http.SendHttp(http.ResponseEndOfMessage(self.stream_id), self.context.client)

    def _made(self, make: Callable[[], Response], status: int) -> Response:
        try:
            return make()
        except Exception as error:
            log.error("an answer of Lockgate's own failed, a bare %d is sent: %s", status, told(error))
            return Response.make(status)

    def _state_discard(self, event: events.Event) -> CommandGenerator[None]:
        """Reads up to as much again to no end: most clients see the reply only when they have sent all they have."""
        if isinstance(event, http.RequestData):
            self._discarded += len(event.data)
            has_ended = any(isinstance(each, http.RequestEndOfMessage) for each in self._paused_event_queue)
            if self._answers and self._discarded > self._answers.request_bytes and not has_ended:
                code = http.ErrorCode.REQUEST_TOO_LARGE
                yield http.SendHttp(http.ResponseProtocolError(self.stream_id, "", code), self.context.client)
                self.client_state = self.state_errored
                yield http.DropStream(self.stream_id)
        elif isinstance(event, http.RequestEndOfMessage):
            yield http.DropStream(self.stream_id)

    def make_server_connection(self) -> CommandGenerator[bool]:
        connected = yield from super().make_server_connection()
        if connected and self.context.server.alpn != b"h2":
            self._frame_request()
        return connected

    def _frame_request(self) -> None:
        """An HTTP/2 request need not tell its length; sent to HTTP/1 as it is, its body would be lost."""
        request = self.flow.request
        if "content-length" in request.headers or "transfer-encoding" in request.headers:
            return
        if request.stream:
            request.headers["transfer-encoding"] = "chunked"
        elif request.raw_content:
            request.headers["content-length"] = str(len(request.raw_content))
