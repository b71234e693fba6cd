"""Replies that wait, break, are damaged or compressed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import zstandard

from lockgate.errors import WireError
from tests.addons.gated import gated
from tests.addons.messages import ASK, PATH, START, call, end, frame, message_of, stream, text
from tests.addons.steered_policies import Waits
from tests.upstream.proxied import EVENT_STREAM, Http, Tls, soon, tls

__all__ = ["tls"]

both = pytest.mark.parametrize(("client", "upstream"), [("h1", "h1"), ("h1", "h2"), ("h2", "h1"), ("h2", "h2")])
WAITS = {"name": "waits", "use": "tests.addons.steered_policies:Waits"}
CRASHES = {"name": "crashes", "use": "tests.addons.steered_policies:Crashes"}
JSON = {"content-type": "application/json"}
WHOLE = json.dumps(json.loads(ASK) | {"stream": False}).encode()


@pytest.fixture(autouse=True)
def _prepared() -> None:
    Waits.prepare()


@both
async def test_a_held_stream_makes_no_other_wait(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, WAITS, client=client, upstream=upstream) as at:
        first = await at.client()
        second = first if client == "h2" else await at.client()
        held = await first.send(ASK, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "so"), call(1, "wait"), stop="tool_use"))
        await held.until(b'"so"')
        await soon(Waits.asked.wait())
        other = await second.send(ASK, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "free"), call(1, "ls"), stop="tool_use"))
        await other.over()
        assert other.complete
        assert not held.is_over
        assert b"tool_use" not in held.body
        Waits.verdict.set()
        await held.over()
        assert held.body == stream(text(0, "so"), call(1, "wait"), stop="tool_use")


@both
async def test_a_client_that_leaves_cancels_the_judge_and_the_provider(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, WAITS, client=client, upstream=upstream) as at:
        one = await at.client()
        await one.send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *call(0, "wait"))
        await soon(Waits.asked.wait())
        one.close()
        await soon(Waits.cancelled.wait())
        await soon(served.gone.wait())
        [row] = await at.log.ended()
    assert row.outcome == "gone"


@both
@pytest.mark.parametrize("fault", ["cut", "reset", "garble"])
async def test_a_provider_that_breaks_off_releases_no_call(tls: Tls, client: Http, upstream: Http, fault: str) -> None:
    async with gated(tls, WAITS, client=client, upstream=upstream) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *text(0, "so"), *call(1, "ls"))
        await reply.until(b'"so"')
        await getattr(served, fault)()
        await reply.over()
        assert not reply.complete
        assert b"tool_use" not in reply.body
        [row] = await at.log.ended()
    assert row.outcome == "cut"
    assert row.error


@pytest.mark.parametrize("rules", [(), (WAITS,)])
async def test_a_clean_end_without_closing_frames_is_made_a_cut(tls: Tls, rules: tuple[Any, ...]) -> None:
    async with gated(tls, *rules) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(START, *text(0, "so"))
        await reply.over()
        assert not reply.complete
        [row] = await at.log.ended()
        assert "aborted" in at.proxy.crashes.pop()
    assert row.outcome == "cut"
    assert "without its closing frames" in row.error


async def test_a_rule_that_crashes_ends_the_reply_in_words(tls: Tls) -> None:
    async with gated(tls, CRASHES) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "fine"), text(1, "crash"), text(2, "unseen")))
        await reply.over()
        assert reply.complete
        assert b"fine" in reply.body
        assert b"unseen" not in reply.body
        assert b"sk-secret" not in reply.body
        assert b"event: error" in reply.body
        assert b"crashes" in reply.body
        [row] = await at.log.ended()
    assert (row.outcome, row.rules) == ("blocked", ("crashes",))


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_a_rule_adds_at_the_end_comes_before_the_calls(tls: Tls, streamed: bool) -> None:
    given = stream(text(0, "so"), call(1, "ls"), stop="tool_use")
    async with gated(tls, {"name": "more", "use": "tests.addons.steered_policies:AddsAWord"}) as at:
        reply = await (await at.client()).send(ASK if streamed else WHOLE, path=PATH)
        body = given if streamed else json.dumps(message_of(given)).encode()
        await (await at.provider.next()).reply(body, headers=EVENT_STREAM if streamed else JSON)
        await reply.over()
        [row] = await at.log.ended()
    message = message_of(reply.body) if streamed else json.loads(reply.body)
    assert [block.get("text", block.get("input")) for block in message["content"]] == [
        "so", "one word more", {"command": "ls"}
    ]  # fmt: skip
    assert message["stop_reason"] == "tool_use"
    assert row.outcome == "changed"


async def test_a_held_reply_is_kept_alive_in_its_own_protocol(tls: Tls) -> None:
    async with gated(tls, WAITS, limits={"keep_alive_seconds": 0.01}) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *call(0, "ls"))  # held by what is still to come
        await reply.until(b"event: ping")
        await served.send(*call(1, "wait", "toolu_2"), *end("tool_use"))
        await soon(Waits.asked.wait())  # held by a verdict
        seen = len(reply.body)
        await reply.changes.until(lambda: len(reply.body) > seen)
        Waits.verdict.set()
        await served.end()
        await reply.over()
    assert [block["id"] for block in message_of(reply.body)["content"]] == ["toolu_1", "toolu_2"]


@pytest.mark.parametrize("rules", [(), (WAITS,)])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_compressed_stream_is_read(tls: Tls, rules: tuple[Any, ...], coding: str) -> None:
    given = stream(text(0, "so"), call(1, "ls"), stop="tool_use")
    body = gzip.compress(given) if coding == "gzip" else zstandard.ZstdCompressor().compress(given)
    async with gated(tls, *rules) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(body, headers={**EVENT_STREAM, "content-encoding": coding})
        await reply.over()
        assert reply.body == (given if rules else body)
        assert reply.headers.get("content-encoding") == (None if rules else coding)
        [row] = await at.log.ended()
    assert row.tool_calls == 1


async def test_a_whole_compressed_reply_that_no_rule_changes_passes_as_it_came(tls: Tls) -> None:
    body = gzip.compress(json.dumps(message_of(stream(text(0, "so")))).encode())
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(WHOLE, path=PATH)
        await (await at.provider.next()).reply(body, headers={**JSON, "content-encoding": "gzip"})
        await reply.over()
        assert (reply.body, reply.headers["content-encoding"]) == (body, "gzip")


@pytest.mark.parametrize(("headers", "body"), [
    ({"content-type": "text/html"}, b"<html>maintenance</html>"),
    (JSON, b""),
    (JSON, b"\xff\xfe"),
    (JSON, b"[" * 5000 + b"]" * 5000),
    (JSON, b'{"type": "message"'),
    ({**JSON, "content-encoding": "gzip"}, b"not gzip"),
])  # fmt: skip
async def test_a_reply_that_cannot_be_read_does_not_pass(tls: Tls, headers: dict[str, str], body: bytes) -> None:
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(WHOLE, path=PATH)
        await (await at.provider.next()).reply(body, headers=headers)
        await reply.over()
        assert reply.status == 502
        assert "cannot read the provider's reply" in json.loads(reply.body)["error"]["message"]
        [row] = await at.log.ended()
    assert row.outcome == "error"


async def test_the_providers_own_errors_pass_as_they_came(tls: Tls) -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        headers = {**JSON, "retry-after": "7", "request-id": "req_1", "x-ratelimit-remaining": "0"}
        await (await at.provider.next()).reply(body, status=529, headers=headers)
        await reply.over()
        assert (reply.status, reply.body) == (529, body)
        assert {name: reply.headers[name] for name in headers} == headers
        [row] = await at.log.ended()
    assert (row.outcome, row.status) == ("error", 529)
    assert at.log.comms[-1].content == body


async def test_an_error_inside_a_stream_reaches_the_client_and_the_log(tls: Tls) -> None:
    error = frame(type="error", error={"type": "overloaded_error", "message": "Overloaded"})
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(START, *call(0, "ls"), error)
        await reply.over()
        assert reply.body == START + error
        [row] = await at.log.ended()
    assert (row.outcome, row.error) == ("error", "overloaded_error: Overloaded")


async def test_a_client_that_closes_at_the_last_frame_is_counted(tls: Tls) -> None:
    async with gated(tls, WAITS) as at:
        client = await at.client()
        reply = await client.send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(stream(text(0, "so")))
        await reply.until(end()[-1])
        client.close()
        [row] = await at.log.ended()
    assert row.outcome == "passed"
    assert row.usage
    assert row.usage.output_tokens == 9


async def test_a_reply_beyond_its_limit_is_cut_short_in_words(tls: Tls) -> None:
    async with gated(tls, limits={"reply_bytes": 1000}) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *text(0, "x" * 2000))
        await reply.over()
        assert b"limits.reply_bytes" in reply.body
        with pytest.raises(WireError):
            message_of(reply.body.partition(b"event: error")[0])


async def test_what_no_rule_wants_to_see_may_be_unreadable(tls: Tls) -> None:
    odd = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": "none"}\n\n'
    async with gated(tls) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(START, odd, *end())
        await reply.over()
        assert reply.body == START + odd + b"".join(end())
        page = await (await at.client()).send(WHOLE, path=PATH)
        await (await at.provider.next()).reply(b"<html>", headers={"content-type": "text/html"})
        await page.over()
        assert (page.status, page.body) == (200, b"<html>")
        rows = await at.log.ended(2)
    assert [row.outcome for row in rows] == ["error", "error"]


async def test_a_frame_that_cannot_be_read_ends_the_reply_where_a_rule_wants_to_see_it(tls: Tls) -> None:
    odd = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": "none"}\n\n'
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, odd)
        await reply.over()
        assert odd not in reply.body
        assert b"event: error" in reply.body


async def test_a_long_call_is_held_and_passes(tls: Tls) -> None:
    given = stream(call(0, "x" * 3_000_000), stop="tool_use")
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(given)
        await reply.over()
        assert reply.body == given


async def test_a_provider_that_gives_no_reply_is_told_in_its_own_format(tls: Tls) -> None:
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).cut()
        await reply.over()
        assert (reply.status, reply.complete) == (502, True)
        assert "got no reply from api.anthropic.com" in json.loads(reply.body)["error"]["message"]
        [row] = await at.log.ended()
    assert (row.outcome, row.status) == ("cut", 502)


async def test_a_whole_reply_beyond_its_limit_is_refused_in_words(tls: Tls) -> None:
    async with gated(tls, limits={"reply_bytes": 1000}) as at:
        reply = await (await at.client()).send(WHOLE, path=PATH)
        served = await at.provider.next()
        await served.start(200, JSON)
        await served.send(b"x" * 1001)
        await reply.over()
        assert reply.status == 502
        assert "larger than 1000 bytes" in json.loads(reply.body)["error"]["message"]


@pytest.mark.parametrize("on_error", ["block", "forward"])
async def test_a_held_reply_has_a_deadline(tls: Tls, on_error: str) -> None:
    given = stream(text(0, "so"), call(1, "wait"), stop="tool_use")
    async with gated(tls, {**WAITS, "deadline_seconds": 0.01, "on_error": on_error, "refusal": "text"}) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(given)
        await reply.over()
        assert (reply.body == given) == (on_error == "forward")
        if on_error == "block":
            assert "could not be checked" in message_of(reply.body)["content"][1]["text"]
        await at.log.ended()
    assert any("no verdict within" in decision.reason for decision in at.log.decisions)


@pytest.mark.parametrize("streamed", [True, False])
async def test_arguments_that_are_no_json_are_blocked_by_a_rule_that_must_read_them(tls: Tls, streamed: bool) -> None:
    broken = [
        frame(type="content_block_start", index=0,
              content_block={"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}),
        frame(type="content_block_delta", index=0,
              delta={"type": "input_json_delta", "partial_json": '{"command": "ls", "command": "touch x"}'}),
        frame(type="content_block_stop", index=0),
    ]  # fmt: skip
    deny = {"name": "no-touch", "use": "tools", "with": {"deny": [{"tool": "*", "arguments": {"command": "touch"}}]}}
    given = stream(broken, stop="tool_use")
    async with gated(tls, deny) as at:
        reply = await (await at.client()).send(ASK if streamed else WHOLE, path=PATH)
        body = given if streamed else json.dumps(message_of(given)).encode()
        await (await at.provider.next()).reply(body, headers=EVENT_STREAM if streamed else JSON)
        await reply.over()
        await at.log.ended()
    if streamed:
        assert message_of(reply.body)["stop_reason"] in ("end_turn", "tool_use")
        assert b"no-touch" in reply.body
    assert b'"touch x"' not in reply.body
    assert [decision.action for decision in at.log.decisions] == ["blocked"]
