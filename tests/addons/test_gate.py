"""The gate: real TLS on both sides, real mitmproxy, a provider that sends each piece on the test's word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.addons.gated import ANTHROPIC, OPENAI, gated
from tests.addons.messages import ASK, START, call, end, message_of, text
from tests.upstream.proxied import Http, Tls, tls

__all__ = ["tls"]

PAIRS = [("h1", "h1"), ("h1", "h2"), ("h2", "h1"), ("h2", "h2")]
both = pytest.mark.parametrize(("client", "upstream"), PAIRS)

NO_TOUCH = {"name": "no-touch", "use": "tools", "with": {"deny": [{"tool": "*", "arguments": {"**": r"\btouch\b"}}]}}


@both
async def test_what_no_rule_changes_passes_byte_for_byte(tls: Tls, client: Http, upstream: Http) -> None:
    sent = b"".join([START, *text(0, "hé"), *call(1, "ls"), *end("tool_use")])
    async with gated(tls, NO_TOUCH, client=client, upstream=upstream) as at:
        reply = await (await at.client()).send(ASK, {"x-api-key": "sk-secret"}, path="/v1/messages?beta=true")
        served = await at.provider.next()
        assert (served.body, served.path) == (ASK, "/v1/messages?beta=true")
        await served.reply(sent)
        await reply.over()
        assert (reply.status, reply.body, reply.complete) == (200, sent, True)
        [row] = await at.log.ended()
    assert (row.outcome, row.model, row.tool_calls, row.stop_reason) == ("passed", "claude-x", 1, "tool_use")
    assert row.usage
    assert (row.usage.input_tokens, row.usage.output_tokens) == (7, 9)
    request, response = at.log.comms
    assert (request.type, request.content) == ("REQUEST", ASK)
    assert json.loads(response.content or b"")["content"][0]["text"] == "hé"
    assert [(r.type, r.from_comm_id, r.to_comm_id) for r in at.log.relations] == [
        ("request_response", request.id, response.id)
    ]
    assert "sk-secret" not in repr(at.log.records)


@both
async def test_text_streams_at_once_and_a_call_waits_for_the_end(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, NO_TOUCH, client=client, upstream=upstream) as at:
        reply = await (await at.client()).send(ASK, path="/v1/messages")
        served = await at.provider.next()
        await served.start()
        starts, says, stops = text(0, "hello")
        for piece in (START, starts + says, stops):
            await served.send(piece)
            await reply.until(piece)
        await served.send(*call(1, "ls"))
        await served.send(*end("tool_use"))
        await served.end()
        await reply.over()
        assert reply.body == b"".join([START, *text(0, "hello"), *call(1, "ls"), *end("tool_use")])


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_blocked_call_becomes_a_notice_and_the_turn_ends(tls: Tls, streamed: bool) -> None:
    async with gated(tls, {**NO_TOUCH, "refusal": "text"}) as at:
        message = await _blocked(at, streamed, [*call(1, "touch x")])
        [row] = await at.log.ended()
    assert [block["type"] for block in message["content"]] == ["text", "text"]
    assert "no-touch" in message["content"][1]["text"]
    assert "touch x" in message["content"][1]["text"]
    assert message["stop_reason"] == "end_turn"
    assert (row.outcome, row.blocked, row.rules) == ("blocked", 1, ("no-touch",))
    [decision] = at.log.decisions
    assert (decision.rule, decision.action, decision.subject) == ("no-touch", "blocked", "toolcall")
    request, original, final = at.log.comms
    assert json.loads(original.content or b"")["content"][1]["input"] == {"command": "touch x"}
    assert json.loads(final.content or b"") == message
    assert {(r.type, r.from_comm_id, r.to_comm_id) for r in at.log.relations} == {
        ("request_response", request.id, original.id),
        ("modified_to", original.id, final.id),
    }


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_blocked_command_explains_itself_and_its_neighbour_runs(tls: Tls, streamed: bool) -> None:
    async with gated(tls, NO_TOUCH) as at:
        message = await _blocked(at, streamed, [*call(1, "ls"), *call(2, "touch x", "toolu_2")])
    said, first, second = message["content"]
    assert said["text"] == "ok"
    assert (first["id"], first["input"]) == ("toolu_1", {"command": "ls"})
    assert second["id"] == "toolu_2"
    assert "no-touch" in second["input"]["command"]
    assert message["stop_reason"] == "tool_use"


async def _blocked(at: Any, streamed: bool, calls: list[bytes]) -> dict[str, Any]:
    """The message that the client gets of a reply that says ok and makes these calls."""
    stream = b"".join([START, *text(0, "ok"), *calls, *end("tool_use")])
    ask = ASK if streamed else json.dumps(json.loads(ASK) | {"stream": False}).encode()
    reply = await (await at.client()).send(ask, path="/v1/messages")
    served = await at.provider.next()
    if streamed:
        await served.reply(stream)
    else:
        body = json.dumps(message_of(stream)).encode()
        await served.reply(body, headers={"content-type": "application/json", "content-length": str(len(body))})
    await reply.over()
    assert (reply.status, reply.complete) == (200, True)
    return message_of(reply.body) if streamed else json.loads(reply.body)


async def test_a_refused_request_is_never_sent(tls: Tls) -> None:
    async with gated(tls, {"name": "shut", "use": "refuse", "with": {"sentence": "not today"}}) as at:
        reply = await (await at.client()).send(ASK, path="/v1/messages")
        await reply.over()
        assert reply.status == 400
        error = json.loads(reply.body)
        assert error["error"]["type"] == "invalid_request_error"
        assert "not today" in error["error"]["message"]
        assert "shut" in error["error"]["message"]
        assert at.provider.connections == 0
        [row] = await at.log.ended()
    assert (row.outcome, row.status) == ("refused", 400)


@pytest.mark.parametrize("host", [ANTHROPIC, OPENAI])
async def test_a_websocket_is_answered_with_426(tls: Tls, host: str) -> None:
    upgrade = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13", "content-length": ""}
    async with gated(tls, NO_TOUCH) as at:
        client = await at.client(host)
        reply = await client.send(b"", upgrade, path="/v1/responses", method="GET")  # pyright: ignore[reportCallIssue]
        await reply.over()
        assert reply.status == 426
        assert at.provider.connections == 0
        [row] = await at.log.ended()
    assert (row.kind, row.outcome) == ("other", "refused")


async def test_malformed_json_is_refused_in_words(tls: Tls) -> None:
    async with gated(tls) as at:
        reply = await (await at.client()).send(b'{"model": "m", ', path="/v1/messages")
        await reply.over()
        assert reply.status == 400
        assert "cannot read this request" in json.loads(reply.body)["error"]["message"]
        assert at.provider.connections == 0


async def test_an_unknown_endpoint_passes_and_is_remembered(tls: Tls) -> None:
    async with gated(tls, NO_TOUCH) as at:
        reply = await (await at.client()).send(b"x", path="/api/event_logging/v2/batch?k=1")
        served = await at.provider.next()
        assert (served.body, served.path) == (b"x", "/api/event_logging/v2/batch?k=1")
        await served.reply(b"{}", headers={"content-type": "application/json"})
        await reply.over()
        assert (reply.status, reply.body) == (200, b"{}")
        [row] = await at.log.ended()
    assert (row.kind, row.outcome, row.endpoint) == ("other", "passed", "POST /api/event_logging/v2/batch")


async def test_a_blocked_flow_is_marked_for_whoever_watches(tls: Tls) -> None:
    class Watches:
        seen: list[tuple[str, str]] = []  # noqa: RUF012

        def update(self, flows: Any) -> None:
            self.seen += [(flow.marked, flow.comment) for flow in flows]

    async with gated(tls, NO_TOUCH) as at:
        watches = Watches()
        at.proxy.master.addons.add(watches)
        await _blocked(at, True, call(1, "touch x"))
        [row] = await at.log.ended()
    assert (":no_entry:", f"blocked by no-touch: lockgate log show {row.id[-8:]}") in watches.seen
