"""Ways round the rules: bytes that are no HTTP at first, and statuses, paths and types that look unlike a reply."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from mitmproxy.proxy.layer import NextLayer

from tests.addons.gated import ANTHROPIC, DIRECT, OPENAI, Gated, gated
from tests.addons.messages import ASK, PATH, START, WHOLE, call, end, message_of, stream, text
from tests.upstream.byte_clients import Reply
from tests.upstream.proxied import EVENT_STREAM, Changes, Http, Tls, soon, tls

__all__ = ["tls"]

SHUT = {"name": "shut", "use": "refuse", "with": {"sentence": "no"}}
NO_TOUCH = {
    "name": "no-touch", "use": "tools", "refusal": "text",
    "with": {"deny": [{"tool": "*", "arguments": {"**": r"\btouch\b"}}]},
}  # fmt: skip
JSON = {"content-type": "application/json"}
BAD = stream(text(0, "so"), call(1, "touch x"), stop="tool_use")
BAD_WHOLE = json.dumps(message_of(BAD)).encode()
SPACED = json.dumps(message_of(BAD), indent=1).replace("\n", "\n\n").encode()
"""The same with blank lines, as they end an event of a stream."""
REQUEST = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (len(ASK), ASK)

streamed_or_whole = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])


class Guesses:
    """Tells what mitmproxy has seen of a connection each time it guesses what is spoken there."""

    def __init__(self) -> None:
        self.seen, self.changes = b"", Changes()

    def next_layer(self, guess: NextLayer) -> None:
        self.seen = guess.data_client()
        self.changes.tell()


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)], ids=["no alpn", "alpn"])
@pytest.mark.parametrize("first", [b"", b"\r\n", b"PO", b"POST"], ids=["at once", "blank line", "two bytes", "verb"])
async def test_what_does_not_begin_like_http_is_not_passed_on_as_bytes(
    tls: Tls, first: bytes, alpn: tuple[str, ...]
) -> None:
    guesses = Guesses()
    async with gated(tls, SHUT, hosts=DIRECT, addons=[guesses]) as at:
        client, reply = await at.bare_client("localhost", alpn), Reply()
        if first:
            client.writer.write(first)
            await guesses.changes.until(lambda: guesses.seen == first)
        client.writer.write(REQUEST.removeprefix(first))
        client.read_on(reply)
        await reply.over()
        assert reply.status == 400
        assert "no" in json.loads(reply.body)["error"]["message"]
        assert at.provider.connections == 0


def _upgrade(value: str, size: int) -> dict[str, str]:
    return {"upgrade": value, "connection": "upgrade", "sec-websocket-version": "13", "content-length": str(size)}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("value", ["WebSocket", "h2c, websocket", "websocket, h2c", "websocket/13"])
async def test_a_websocket_in_a_list_is_a_websocket(tls: Tls, value: str, method: str) -> None:
    body = ASK if method == "POST" else b""
    async with gated(tls, NO_TOUCH) as at:
        client = await at.bare_client(ANTHROPIC, ["http/1.1"])
        reply = await (await client.send(body, _upgrade(value, len(body)), path=PATH, method=method)).over()
        assert reply.status == 426
        assert at.provider.connections == 0


async def test_an_upgrade_to_anything_else_is_not_asked_for(tls: Tls) -> None:
    async with gated(tls, NO_TOUCH) as at:
        reply = await (await at.client()).send(ASK, _upgrade("h2c", len(ASK)), path=PATH)
        served = await at.provider.next()
        assert "upgrade" not in served.headers
        await served.reply(BAD)
        await reply.over()
        assert reply.status == 200
        _check_blocked(reply, streamed=True)


@pytest.mark.parametrize("path", [PATH, "/v1/other"])
async def test_a_provider_that_switches_protocols_is_cut_off(tls: Tls, path: str) -> None:
    async with gated(tls, {"name": "n", "use": "noop"}) as at:
        reply = await (await at.client()).send(ASK, path=path)
        served = await at.provider.next()
        await served.start(101, {"upgrade": "h2c", "connection": "upgrade", "content-length": "0"})
        with suppress(ConnectionError):
            await served.send(b"unseen")
        await soon(served.gone.wait())
        await reply.over()
        assert not reply.complete
        assert b"unseen" not in reply.body
        [row] = await at.log.ended()
    assert row.outcome in ("cut", "error")


@streamed_or_whole
@pytest.mark.parametrize("status", [200, 201, 203, 206, 299, 300])
async def test_a_call_is_blocked_whatever_the_status_of_its_reply(tls: Tls, status: int, streamed: bool) -> None:
    async with gated(tls, NO_TOUCH) as at:
        reply = await _ask(at, streamed, BAD if streamed else BAD_WHOLE, status=status)
        assert (reply.status, reply.complete) == (status, True)
        _check_blocked(reply, streamed=streamed)
        [row] = await at.log.ended()
    assert (row.outcome, row.status) == ("blocked", status)


@streamed_or_whole
async def test_a_call_is_blocked_whatever_mitmproxy_was_told_to_stream(tls: Tls, streamed: bool) -> None:
    """The option may be set in mitmweb while the proxy runs."""
    async with gated(tls, NO_TOUCH) as at:
        at.proxy.master.options.update(stream_large_bodies="100")
        body = BAD if streamed else BAD_WHOLE
        reply = await _ask(at, streamed, body, **{"content-length": str(len(body))})
        _check_blocked(reply, streamed=streamed)


async def test_a_request_is_refused_whatever_mitmproxy_was_told_to_stream(tls: Tls) -> None:
    async with gated(tls, SHUT, hosts=DIRECT) as at:
        at.proxy.master.options.update(stream_large_bodies="100")
        reply = await (await (await at.client("localhost")).send(ASK, path=PATH)).over()
        assert reply.status == 400
        assert at.provider.connections == 0


@pytest.mark.parametrize("path", [
    "/v1/%256dessages", "/v1/%25256dessages", "/v1%2fmessages", "/v1%252fmessages", "/v1\\messages", "/v1%5cmessages",
    "/v1/messages;a=b", "/v1;a/messages;", "/v1/messages%3Bx", "/v1/messages%20", "/v1/%20messages", "/v1/messages%09",
    "/v1/messages%00", "/v1/messages%3Fx", "/v1/messages#x", "/v1/x/%2e%2e/messages", "/v1/MESSAGES", "/V1/Messages/",
])  # fmt: skip
async def test_no_spelling_of_a_path_gets_round_the_rules(tls: Tls, path: str) -> None:
    async with gated(tls, SHUT, hosts=DIRECT, unknown_endpoint="forward") as at:
        reply = await (await (await at.client("localhost")).send(ASK, path=path)).over()
        assert reply.status == 400
        assert "shut" in json.loads(reply.body)["error"]["message"]
        assert at.provider.connections == 0


async def test_a_reply_that_would_be_fetched_later_is_not_asked_for(tls: Tls) -> None:
    async with gated(tls, NO_TOUCH) as at:
        ask = json.dumps({"model": "m", "input": "x", "background": True}).encode()
        reply = await (await (await at.client(OPENAI)).send(ask, path="/v1/responses")).over()
        assert reply.status == 400
        assert "background" in json.loads(reply.body)["error"]["message"]
        assert at.provider.connections == 0
        [row] = await at.log.ended()
    assert row.outcome == "error"


@pytest.mark.parametrize(("rules", "background"), [
    ((), True), ((NO_TOUCH | {"mode": "shadow"},), True), ((NO_TOUCH,), False), ((NO_TOUCH,), None),
])  # fmt: skip
async def test_a_reply_may_be_fetched_later_where_no_rule_judges_it(
    tls: Tls, rules: tuple[Any, ...], background: bool | None
) -> None:
    body = b'{"id": "r", "object": "response", "status": "queued", "output": [], "model": "m"}'
    async with gated(tls, *rules) as at:
        ask = json.dumps({"model": "m", "input": "x", "background": background}).encode()
        reply = await (await at.client(OPENAI)).send(ask, path="/v1/responses")
        served = await at.provider.next()
        assert served.body == ask
        await served.reply(body, headers=JSON)
        await reply.over()
        assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream", "TEXT/EVENT-STREAM; Charset=utf-8"])
@pytest.mark.parametrize("upstream", ["h1", "h2"])
async def test_a_stream_that_was_asked_for_need_not_say_that_it_is_one(tls: Tls, kind: str, upstream: Http) -> None:
    async with gated(tls, NO_TOUCH, upstream=upstream) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start(200, {"content-type": kind} if kind else {})
        await served.send(START, *text(0, "so"))
        await reply.until(b'"so"')  # streamed
        await served.send(*call(1, "touch x"), *end("tool_use"))
        await served.end()
        await reply.over()
        _check_blocked(reply, streamed=True)


@pytest.mark.parametrize(("ask", "kind", "body"), [
    (ASK, "application/json", BAD), (ASK, "application/x-ndjson", BAD), (WHOLE, "", BAD), (WHOLE, "text/plain", BAD),
    (ASK, "", BAD_WHOLE), (ASK, "text/plain", SPACED), (ASK, "text/event-stream", SPACED),
    (WHOLE, "text/event-stream", SPACED), (ASK, "", b"\xef\xbb\xbf\r\n" + SPACED),
])  # fmt: skip
async def test_a_reply_that_is_not_what_it_says_does_not_pass(tls: Tls, ask: bytes, kind: str, body: bytes) -> None:
    async with gated(tls, NO_TOUCH) as at:
        reply = await (await at.client()).send(ask, path=PATH)
        with suppress(ConnectionError):  # the proxy may have read enough
            await (await at.provider.next()).reply(body, headers={"content-type": kind} if kind else {})
        await reply.over()
        assert b'"tool_use"' not in reply.body
        assert b"cannot read" in reply.body
        [row] = await at.log.ended()
    assert row.outcome == "error"


@pytest.mark.parametrize("body", [SPACED, b'{"error": "busy"}', b"<html>busy</html>"])
async def test_it_passes_as_it_came_where_no_rule_judges_replies(tls: Tls, body: bytes) -> None:
    async with gated(tls) as at:
        reply = await _ask(at, True, body)
        assert (reply.body, reply.complete) == (body, True)
        [row] = await at.log.ended()
    assert (row.outcome, row.error) == ("error", "it is a document, and a stream of server-sent events was due")


@pytest.mark.parametrize("more", [
    b',"x":1e400', b',"x":"\xff"', b',"x":' + b"[" * 300 + b"]" * 300, b',"x":' + b"1" * 5000,
], ids=["infinite", "no utf-8", "deep", "digits"])  # fmt: skip
@pytest.mark.parametrize("family", ["anthropic", "chat", "responses"])
async def test_a_call_in_a_frame_that_parsers_read_differently_does_not_pass(
    tls: Tls, family: str, more: bytes
) -> None:
    host, path, ask, frames = ODDLY_READ[family]
    async with gated(tls, NO_TOUCH) as at:
        reply = await (await at.client(host)).send(ask, path=path)
        served = await at.provider.next()
        await served.start()
        with suppress(ConnectionError):  # the proxy may have read enough
            await served.send(*(frame.replace(b"}\n\n", more + b"}\n\n") for frame in frames))
            await served.end()
        await reply.over()
        assert b"touch" not in reply.body
        [row] = await at.log.ended()
        at.proxy.crashes.clear()
    assert row.outcome in ("error", "cut")


def _event(type: str, **document: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (type.encode(), json.dumps({"type": type, **document}).encode())


_CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "shell", "arguments": '{"command": "touch x"}'}
_PIECE = {"index": 0, "id": "c1", "type": "function", "function": {"name": "shell", "arguments": _CALL["arguments"]}}
ODDLY_READ = {
    "anthropic": (ANTHROPIC, PATH, ASK, call(0, "touch x")),
    "chat": (
        OPENAI, "/v1/chat/completions", b'{"model": "m", "messages": [], "stream": true}',
        [b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [_PIECE]}}]}).encode()],
    ),
    "responses": (
        OPENAI, "/v1/responses", b'{"model": "m", "input": "x", "stream": true}',
        [_event("response.output_item.added", output_index=0, item=_CALL),
         _event("response.output_item.done", output_index=0, item=_CALL)],
    ),
}  # fmt: skip


async def _ask(at: Gated, streamed: bool, body: bytes, *, status: int = 200, **headers: str) -> Reply:
    reply = await (await at.client()).send(ASK if streamed else WHOLE, path=PATH)
    kind = EVENT_STREAM if streamed else JSON
    await (await at.provider.next()).reply(body, status=status, headers={**kind, **headers})
    return await reply.over()


def _check_blocked(reply: Reply, *, streamed: bool) -> None:
    """The reply is whole, and a notice stands where the call was."""
    message = message_of(reply.body) if streamed else json.loads(reply.body)
    assert [block["type"] for block in message["content"]] == ["text", "text"]
    assert "no-touch" in message["content"][1]["text"]
    assert message["stop_reason"] == "end_turn"
