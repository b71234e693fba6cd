"""Histories and sessions through the real gate: what the client was given is what its next request is compared with."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from lockgate.records import SessionRow, TurnRow
from tests.addons.gated import OPENAI, Gated, gated
from tests.addons.messages import PATH, START, call, end, message_of, stream, text
from tests.addons.steered_policies import Waits
from tests.upstream.proxied import Http, Tls, soon, tls

__all__ = ["tls"]

TOOLS = [{"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {}}}}]
NO_TOUCH: dict[str, Any] = {
    "name": "no-touch", "use": "tools", "with": {"deny": [{"arguments": {"command": r"\btouch\b"}}]},
}  # fmt: skip
JSON = {"content-type": "application/json"}


def body(messages: list[Any], **more: Any) -> bytes:
    document = {"model": "claude-x", "max_tokens": 100, "stream": True, "messages": messages, "tools": TOOLS}
    return json.dumps(document | more).encode()


def user(*content: Any) -> Any:
    return {
        "role": "user",
        "content": [{"type": "text", "text": one} if isinstance(one, str) else one for one in content],
    }


def back(reply: bytes) -> Any:
    return {"role": "assistant", "content": message_of(reply)["content"]}


async def ask(at: Gated, messages: list[Any], reply: bytes = b"", headers: Any = None, **more: Any) -> bytes:
    """One exchange on a connection of its own; what the client got."""
    client = await at.client()
    got = await client.send(body(messages, **more), headers or {}, path=PATH)
    if reply:
        await (await at.provider.next()).reply(reply)
    await got.over()
    return got.body


async def states(at: Gated, count: int) -> list[str]:
    return [row.attested for row in await at.log.ended(count)]


@pytest.mark.parametrize(("client", "upstream"), [("h1", "h1"), ("h2", "h2")])
async def test_a_conversation_goes_on(tls: Tls, client: Http, upstream: Http):
    async with gated(tls, client=client, upstream=upstream) as at:
        first = await ask(at, [user("hi")], stream(text(0, "One."), call(1, "ls"), stop="tool_use"))
        history = [user("hi"), back(first), user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"})]
        await ask(at, history, stream(text(0, "Two.")))
        rows = await at.log.ended(2)
    assert [row.attested for row in rows] == ["attested", "attested"]
    [session] = at.log.of(SessionRow)
    assert {row.session_id for row in rows} == {session.id}
    assert (session.title, session.relation) == ("hi", "")
    [continues] = [one for one in at.log.relations if one.type == "continues"]
    request, reply = (
        next(c for c in at.log.comms if c.id == id) for id in (continues.to_comm_id, continues.from_comm_id)
    )
    assert (request.type, reply.type, request.exchange_id) == ("REQUEST", "RESPONSE", rows[1].id)
    assert len(at.log.of(TurnRow)) == 2


async def test_agents_at_once_never_mix(tls: Tls):
    async def agent(at: Gated, name: str) -> None:
        messages: list[Any] = []
        for turn in range(6):
            messages.append(user("go on" if turn else "go"))
            client = await at.client()
            sent = await client.send(body(messages), {"x-claude-code-session-id": name}, path=PATH)
            await sent.over()
            messages.append(back(sent.body))

    async with gated(tls) as at:

        async def provider() -> None:
            while True:
                served = await at.provider.next()
                await served.reply(stream(text(0, "Yes.")))

        answers = asyncio.ensure_future(provider())
        await asyncio.gather(*(agent(at, f"agent-{number}") for number in range(4)))
        answers.cancel()
        rows = await at.log.ended(24)
    assert {row.attested for row in rows} == {"attested"}
    sessions = {row.id: row for row in at.log.of(SessionRow)}
    assert sorted(row.marker for row in sessions.values()) == [f"agent-{number}" for number in range(4)]
    marker = dict[str, str]()
    for comm in at.log.comms:
        if comm.type == "REQUEST":
            marker[comm.exchange_id] = dict(comm.headers)["x-claude-code-session-id"]
    assert all(sessions[row.session_id].marker == marker[row.id] for row in rows)


@pytest.mark.parametrize("refusal", ["explain", "text"])
async def test_a_veto_is_part_of_the_history(tls: Tls, refusal: str):
    async with gated(tls, {**NO_TOUCH, "refusal": refusal}) as at:
        came = stream(text(0, "I touch."), call(1, "touch x"), stop="tool_use")
        given = await ask(at, [user("hi")], came)
        assert given != came
        answer = user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "no"})
        for said in (given, came, stream(text(0, "I touch."))):
            await ask(at, [user("hi"), back(said), answer], stream(text(0, "Well.")))
        await ask(at, [user("hi"), answer], stream(text(0, "Well.")))
        rows = await at.log.ended(5)
    assert [row.attested for row in rows] == ["attested", "attested", "altered", "altered", "altered"]
    assert len({row.session_id for row in rows[:4]}) == 1


async def test_rules_see_what_the_history_is(tls: Tls):
    integrity: dict[str, Any] = {
        "name": "integrity",
        "use": "history_integrity",
        "with": {"foreign": "deny", "altered": "alert"},
    }
    async with gated(tls, integrity) as at:
        given = await ask(at, [user("hi")], stream(text(0, "One.")))
        await ask(at, [user("hi"), back(stream(text(0, "Two."))), user("more")], stream(text(0, "Well.")))
        foreign = [user("ho"), back(stream(text(0, "Elsewhere."))), user("more")]
        assert b"not had through Lockgate" in await ask(at, foreign)
        await ask(at, [user("hi"), back(given), user("more")], stream(text(0, "Well.")))
        rows = await at.log.ended(4)
    assert [(row.attested, row.outcome) for row in rows] == [
        ("attested", "passed"), ("altered", "passed"), ("foreign", "refused"), ("attested", "passed"),
    ]  # fmt: skip
    assert [(one.rule, one.action) for one in at.log.decisions] == [
        ("integrity", "forwarded"), ("integrity", "blocked"),
    ]  # fmt: skip


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_that_a_rule_made_is_part_of_the_history(tls: Tls, streamed: bool):
    refuse: dict[str, Any] = {"name": "no", "use": "refuse", "refusal": "reply", "with": {"pattern": "secret"}}
    async with gated(tls, refuse) as at:
        given = await ask(at, [user("a secret")], stream=streamed)
        said = back(given) if streamed else {"role": "assistant", "content": json.loads(given)["content"]}
        await ask(at, [user("a s..."), said, user("sorry")], stream(text(0, "Fine.")))
        await ask(at, [user("a s..."), user("sorry")], stream(text(0, "Fine.")))
        assert await states(at, 3) == ["attested", "attested", "attested"]


async def test_a_whole_reply_counts_too(tls: Tls):
    whole = {"id": "m", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn", "usage": {}}
    whole |= {"content": [{"type": "text", "text": "One."}]}
    async with gated(tls) as at:
        client = await at.client()
        got = await client.send(body([user("hi")], stream=False), path=PATH)
        await (await at.provider.next()).reply(json.dumps(whole).encode(), headers=JSON)
        await got.over()
        history = [user("hi"), {"role": "assistant", "content": "One."}, user("more")]
        await ask(at, history, stream(text(0, "Two.")))
        assert await states(at, 2) == ["attested", "attested"]


async def test_the_next_request_may_come_before_the_reply_is_over(tls: Tls):
    async with gated(tls) as at:
        client = await at.client()
        got = await client.send(body([user("hi")]), path=PATH)
        served = await at.provider.next()
        await served.start()
        reply = stream(text(0, "One."))
        await served.send(reply)
        await got.until(b"message_stop")
        await ask(at, [user("hi"), back(reply), user("more")], stream(text(0, "Two.")))
        [row] = [row for row in at.log.of(type((await at.log.ended(1))[0])) if row.outcome != "open"]
        assert row.attested == "attested"
        await served.end()
        await got.over()


async def test_what_was_sent_of_a_cut_reply_may_come_back(tls: Tls):
    async with gated(tls) as at:
        client = await at.client()
        got = await client.send(body([user("hi")]), path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *text(0, "One, two, three"))
        await got.until(b"three")
        client.close()
        await at.log.ended(1)
        history = [user("hi"), {"role": "assistant", "content": "One, two"}, user("go on")]
        await ask(at, history, stream(text(0, "Four.")))
        history[1] = {"role": "assistant", "content": "One, ten"}
        await ask(at, history, stream(text(0, "Four.")))
        assert await states(at, 3) == ["attested", "attested", "altered"]


async def test_what_was_held_back_was_never_released(tls: Tls):
    Waits.prepare()
    async with gated(tls, {"name": "waits", "use": "tests.addons.steered_policies:Waits"}) as at:
        client = await at.client()
        got = await client.send(body([user("hi")]), path=PATH)
        served = await at.provider.next()
        await served.start()
        held = [START, *text(0, "I look."), *call(1, "wait"), *end("tool_use")]
        await served.send(*held)
        await got.until(b"look")
        await soon(Waits.asked.wait())
        client.close()
        await at.log.ended(1)
        Waits.verdict.set()
        answer = user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "no"})
        await ask(at, [user("hi"), back(b"".join(held)), answer], stream(text(0, "Well.")))
        await ask(at, [user("hi"), {"role": "assistant", "content": "I look."}, user("so?")], stream(text(0, "Well.")))
        assert await states(at, 3) == ["attested", "altered", "attested"]


async def test_side_calls_are_told_apart(tls: Tls):
    marked = {"x-claude-code-session-id": "m", "x-claude-code-request-class": "auxiliary"}
    async with gated(tls) as at:
        await ask(at, [user("a title, please")], stream(text(0, "Tea")), marked)
        await ask(at, [user("hi")], stream(text(0, "One.")), {"x-claude-code-session-id": "m"})
        await ask(at, [user("quota")], stream(text(0, "x")), {"x-claude-code-session-id": "m"}, max_tokens=1)
        client = await at.client()
        got = await client.send(body([user("hi")]), {"x-claude-code-session-id": "m"}, path="/v1/messages/count_tokens")
        await (await at.provider.next()).reply(b'{"input_tokens": 1}', headers=JSON)
        await got.over()
        rows = await at.log.ended(4)
    assert [row.purpose for row in rows] == ["side", "", "side", "side"]
    assert len({row.session_id for row in rows}) == 1
    assert [row.title for row in at.log.of(SessionRow)] == ["hi"]


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_a_conversation_goes_on_from_what_the_provider_made_of_it(tls: Tls, encoding: str):
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed"}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]}
    compacted = json.dumps({"id": "r", "object": "response.compaction", "output": [item]}).encode()
    reply = json.dumps(
        {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [said]}
    ).encode()
    go_on = {"role": "user", "content": "go on"}
    async with gated(tls) as at:
        for path, given, answer in (
            ("/v1/responses", [go_on], reply),
            ("/v1/responses/compact", [go_on, said, go_on], compacted),
            ("/v1/responses", [go_on, item, go_on], reply),
            ("/v1/responses", [go_on, item, go_on, said, go_on], reply),
        ):
            client = await at.client(OPENAI)
            got = await client.send(json.dumps({"model": "m", "input": given}).encode(), path=path)
            packed = gzip.compress(answer) if encoding else answer
            headers = JSON | ({"content-encoding": encoding} if encoding else {})
            await (await at.provider.next()).reply(packed, headers=headers)
            await got.over()
            assert got.body == packed
        rows = await at.log.ended(4)
    assert [(row.attested, row.purpose) for row in rows] == [
        ("attested", ""), ("attested", "compaction"), ("compacted", ""), ("compacted", ""),
    ]  # fmt: skip
    assert [row.relation for row in at.log.of(SessionRow)] == ["", "compacted_from"]


async def test_a_history_that_cannot_be_compared_is_unknown_and_passes(tls: Tls, monkeypatch: pytest.MonkeyPatch):
    async with gated(tls) as at:

        async def fails(asked: Any) -> Any:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(at.gate.history, "stand", fails)
        at.proxy.crashes.clear()
        await ask(at, [user("hi")], stream(text(0, "One.")))
        [row] = await at.log.ended(1)
        assert (row.attested, row.session_id, row.outcome) == ("unknown", "", "passed")
        assert "its history cannot be compared" in at.proxy.crashes.pop()
