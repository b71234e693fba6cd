"""The bodies of messages that Lockgate itself writes, and its refusals."""

from __future__ import annotations

from mitmproxy import http

from lockgate.wire.codec import Format


def set_body(message: http.Message, body: bytes) -> None:
    """The body as it is, with no stale length or content encoding beside it."""
    message.headers.pop("content-encoding", None)
    message.headers.pop("transfer-encoding", None)
    message.raw_content = body
    message.headers["content-length"] = str(len(body))


def refuse(format: Format, sentence: str, status: int, *, retry_after: int = 0) -> http.Response:
    """A refusal in the provider's error format; with `retry_after`, in seconds, one that clients try again after."""
    response = http.Response.make(429 if retry_after else status, b"", {"content-type": "application/json"})
    set_body(response, format.error_body(sentence, **({"kind": "rate_limit_error"} if retry_after else {})))
    if retry_after:
        response.headers["retry-after"] = str(retry_after)
    if status == 426:
        response.headers["upgrade"], response.headers["connection"] = "HTTP/1.1", "upgrade, close"
    return response
