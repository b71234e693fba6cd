"""A request on its way to the provider: refused where its body is too long, framed where its protocol changes.

Beside stream.py the only file that leans on mitmproxy's layers. The addon that knows the provider says the limit and
the words of the refusal: it sets `flow.metadata[REQUEST_LIMIT]` and `flow.metadata[OVERSIZE]` in `requestheaders`.
Counted are bytes read, not a header's word; upstream hears of no request that is refused.
"""

# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (mitmproxy types its layers only in part, and re-exports their events without saying so)

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from mitmproxy.flow import Error as FlowError
from mitmproxy.http import Response
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http

from lockgate.addons.held import told

REQUEST_LIMIT = "lockgate_request_limit"  # int: bytes of request body that are taken
OVERSIZE = "lockgate_oversize"  # () -> http.Response: refuses a longer one

log = logging.getLogger(__name__)


class RequestHttpStream(http.HttpStream):
    """The request's side of one exchange."""

    _limit: int | None = None
    _oversize: Callable[[], Response] | None = None
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
        self._limit = self.flow.metadata.pop(REQUEST_LIMIT, None)
        self._oversize = self.flow.metadata.pop(OVERSIZE, None)
        length = cast(str, self.flow.request.headers.get("content-length", ""))
        return self._limit is not None and not self.flow.error and length.isdecimal() and int(length) > self._limit

    def check_body_size(self, request: bool) -> CommandGenerator[bool]:
        if not request or self._limit is None:
            return (yield from super().check_body_size(request))
        if len(self.request_body_buf) <= self._limit:
            return False
        yield from self._refuse()
        return True

    def _refuse(self) -> CommandGenerator[None]:
        response = self._refusal()
        self.flow.response = response
        self.flow.error = FlowError(f"request body exceeds {self._limit} bytes")
        self.flow.live = False
        self.request_body_buf.clear()
        self.client_state, self.server_state = self._state_discard, self.state_errored
        yield http.HttpErrorHook(self.flow)
        content = response.raw_content or b""
        yield http.SendHttp(http.ResponseHeaders(self.stream_id, response, not content), self.context.client)
        if content:
            yield http.SendHttp(http.ResponseData(self.stream_id, content), self.context.client)
        yield http.SendHttp(http.ResponseEndOfMessage(self.stream_id), self.context.client)

    def _refusal(self) -> Response:
        try:
            return self._oversize() if self._oversize else Response.make(413)
        except Exception as error:
            log.error("the refusal of an oversize request failed, a bare 413 is sent: %s", told(error))
            return Response.make(413)

    def _state_discard(self, event: events.Event) -> CommandGenerator[None]:
        """Reads up to as much again to no end: most clients see the reply only when they have sent all they have."""
        if isinstance(event, http.RequestData):
            self._discarded += len(event.data)
            has_ended = any(isinstance(each, http.RequestEndOfMessage) for each in self._paused_event_queue)
            if self._discarded > (self._limit or 0) and not has_ended:
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
