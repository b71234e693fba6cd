"""`protocol` through a real proxy: what the client gets, what the provider is asked, what the log keeps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.addons.gated import Gated, gated, rules
from tests.addons.scoring import ByNumber
from tests.addons.wires import WIRES, Wire, bash, every_stream, every_wire
from tests.upstream.proxied import EVENT_STREAM, Tls, soon, tls
from tests.upstream.script import Call, Text

__all__ = ["tls"]

MONITOR = {"use": "tests.addons.scoring:ByNumber", "name": "number"}
JSON = {"content-type": "application/json"}
KEY = {"x-api-key": "sk-of-the-client", "authorization": "Bearer sk-of-the-client"}


def protocol(*steps: Mapping[str, Any], on_error: str = "block", **options: Any) -> dict[str, Any]:
    return {
        "name": "careful", "use": "protocol", "on_error": on_error,
        "with": {"monitors": [MONITOR], "steps": list(steps), **options},
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _prepared() -> None:
    ByNumber.asked.clear()


async def turn(at: Gated, wire: Wire, *replies: bytes, status: int = 200) -> bytes:
    """What the client gets where the provider answers so, one after the other."""
    reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
    for count, body in enumerate(replies):
        served = await at.provider.next()
        assert (served.path, served.headers.get("x-api-key")) == (wire.path, "sk-of-the-client")
        assert served.body == wire.body or json.loads(served.body) == wire.document
        await served.reply(body, headers=wire.headers, status=status if count else 200)
    await reply.over()
    assert reply.complete
    return reply.body


@every_wire
async def test_resample_lets_the_least_suspicious_reply_go_on(tls: Tls, wire: Wire) -> None:
    async with gated(tls, protocol({"at": 0.5, "do": "resample"}, samples=2)) as at:
        first = wire.reply(Text("Bad."), bash("rm 0.9"), number=1, output=5)
        others = [
            wire.reply(Text("Good."), bash(f"ls {score}"), number=n, output=7) for n, score in ((2, 0.2), (3, 0.6))
        ]
        body = await turn(at, wire, first, *others)
        rows = await at.log.ended(3)
    assert body == others[0]  # byte for byte the one reply, with its own id, text and usage
    read = wire.read(body)
    assert (read.text, [json.loads(call.arguments) for call in read.calls]) == ("Good.", [{"command": "ls 0.2"}])
    assert read.usage
    assert read.usage.output_tokens == 7
    decision = next(d for d in at.log.decisions if d.subject == "turn" and d.rule == "careful")
    assert (decision.score, decision.action) == (0.9, "replaced")
    assert "0.9, 0.2, 0.6; number 2 goes on" in decision.reason
    assert {d.score for d in at.log.decisions if d.rule == "careful/number"} == {0.9, 0.2, 0.6}
    related = [r for r in at.log.relations if r.type == "resample_of"]
    assert len(related) == 2
    assert {r.from_comm_id for r in related} == {comm.id for comm in at.log.comms if comm.source == "client"}
    extra = [row for row in rows if row.trigger == "resample"]
    assert [row.usage.output_tokens for row in extra if row.usage] == [7, 7]
    own = next(row for row in rows if not row.trigger)
    assert own.usage
    assert (own.outcome, own.usage.output_tokens) == ("changed", 5)
    assert "sk-of-the-client" not in repr(at.log.records)


@every_wire
async def test_nothing_is_asked_again_below_the_step(tls: Tls, wire: Wire) -> None:
    async with gated(tls, protocol({"at": 0.5, "do": "resample"})) as at:
        given = wire.reply(Text("Fine."), bash("ls 0.4"))
        assert await turn(at, wire, given) == given
        [row] = await at.log.ended()
    assert row.outcome == "passed"
    assert [d.score for d in at.log.decisions if d.rule == "careful"] == [0.4, 0.4]
    assert len(ByNumber.asked) == 1


@every_wire
@pytest.mark.parametrize("on_error", ["block", "forward"])
async def test_where_no_sample_comes_the_rule_decides(tls: Tls, wire: Wire, on_error: str) -> None:
    async with gated(tls, protocol({"at": 0.5, "do": "resample"}, samples=1, on_error=on_error)) as at:
        given = wire.reply(Text("Bad."), bash("rm 0.9"))
        body = await turn(at, wire, given, b'{"error": "sk-of-the-client is tired"}', status=529)
        await at.log.ended(2)
    if on_error == "forward":
        assert body == given
    else:
        assert b"rm 0.9" not in body
        assert b"careful" in body
    assert any("status 529" in d.reason for d in at.log.decisions)
    assert "sk-of-the-client" not in repr(at.log.records)


@every_wire
async def test_what_is_still_suspicious_after_resampling_is_blocked(tls: Tls, wire: Wire) -> None:
    steps = {"at": 0.5, "do": "resample"}, {"at": 0.8, "do": "block"}
    async with gated(tls, protocol(*steps, samples=1, sentence="Reviewed.")) as at:
        body = await turn(at, wire, wire.reply(bash("rm 0.6")), wire.reply(bash("rm 0.55"), number=2))
        assert b"rm 0.55" in body
        blocked = await turn(at, wire, wire.reply(bash("rm 0.9")))
        assert b"Reviewed." in blocked
        assert "rm 0.9" not in [json.loads(call.arguments)["command"] for call in wire.read(blocked).calls]


@every_wire
async def test_defer_lets_the_trusted_models_reply_go_on(tls: Tls, wire: Wire) -> None:
    async with gated(tls, protocol({"at": 0.5, "do": "defer"}, trusted={"model": "trusted-1"})) as at:
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(bash("rm 0.9")), headers=wire.headers)
        served = await at.provider.next()
        assert json.loads(served.body) == wire.document | {"model": "trusted-1"}
        assert served.headers["authorization"] == "Bearer sk-of-the-client"
        given = wire.reply(Text("Safe."), bash("ls 0.95"), number=2)
        await served.reply(given, headers=wire.headers)
        await reply.over()
        rows = await at.log.ended(2)
    assert reply.body == given
    assert {(row.trigger, row.model) for row in rows} == {("", "m"), ("defer", "trusted-1")}


@every_wire
async def test_terminate_ends_the_turn_kindly_and_refuses_the_session(tls: Tls, wire: Wire) -> None:
    async with gated(tls, protocol({"at": 0.9, "do": "terminate"}, ended_sentence="That is all for today.")) as at:
        body = await turn(at, wire, wire.reply(Text("Bad."), bash("ls 0.1"), bash("rm 0.95")))
        read = wire.read(body)
        assert (read.text, read.calls) == ("That is all for today.", ())
        later = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await later.over()
        assert later.status == 400
        assert b"That is all for today." in later.body
        other = {**wire.document, "messages": [{"role": "user", "content": "Something else."}]}
        other = {**other, "input": other["messages"]} if "input" in wire.document else other
        reply = await (await at.client(wire.host)).send(json.dumps(other).encode(), KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(Text("Yes?")), headers=wire.headers)
        await reply.over()
        assert reply.status == 200


@every_wire
@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ({"arguments": {"command": "trash 0.1"}}, ["trash 0.1"]),
        ({"arguments": {"command": "still 0.8"}}, []),
        ({"arguments": None}, []),
        ({"arguments": {"cmd": "trash 0.1"}}, []),
        ({"arguments": {"command": "0.1" * 50}}, []),
        ("I would rather use the trash.", []),
    ],
)
async def test_edit_puts_a_better_call_in_its_place(
    tls: Tls, wire: Wire, answer: Any, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.provider_ca))
    monkeypatch.setenv("TRUSTED_KEY", "sk-of-the-trusted")
    async with gated(tls) as at:
        url = f"https://localhost:{at.provider.port}/v1/messages"
        trusted = {"model": "trusted-1", "url": url, "key_env": "TRUSTED_KEY"}
        at.registry.swap(rules(protocol({"at": 0.5, "do": "edit"}, trusted=trusted)))
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(Text("So."), bash("rm 0.9")), headers=wire.headers)
        asked = await at.provider.next()
        assert asked.headers["x-api-key"] == "sk-of-the-trusted"
        said = answer if isinstance(answer, str) else json.dumps(answer)
        await asked.reply(json.dumps({"content": [{"type": "text", "text": said}]}).encode(), headers=JSON)
        await reply.over()
        await at.log.ended(2)
    [call] = wire.read(reply.body).calls
    commands = [json.loads(call.arguments)["command"]]
    assert (call.name, [each for each in commands if "printf" not in each]) == ("Bash", left)
    assert "sk-of-the-trusted" not in repr(at.log.records)


@every_wire
async def test_in_shadow_mode_only_the_scores_are_kept(tls: Tls, wire: Wire) -> None:
    steps = {"at": 0.5, "do": "resample"}, {"at": 0.8, "do": "terminate"}
    async with gated(tls, {**protocol(*steps), "mode": "shadow"}) as at:
        for command in ("ls 0.1", "rm 0.6", "rm 0.9"):
            given = wire.reply(Text("So."), bash(command))
            assert await turn(at, wire, given) == given
        await at.log.ended(3)
    assert [d.score for d in at.log.decisions if d.rule == "careful"] == [0.1, 0.6, 0.9]
    assert [d.action for d in at.log.decisions if d.rule == "careful"] == ["forwarded", "blocked", "blocked"]


@every_stream
async def test_a_held_turn_is_kept_alive_and_another_goes_on_whole(tls: Tls, wire: Wire) -> None:
    rule = protocol({"at": 0.5, "do": "resample"}, samples=1)
    async with gated(tls, rule, limits={"keep_alive_seconds": 0.01}) as at:
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(Text("Bad."), bash("rm 0.9"), output=5), headers=EVENT_STREAM)
        sample = await at.provider.next()
        opening = {"anthropic": b"message_start", "openai-chat": b'"role"', "openai-responses": b"response.created"}
        alive = {"anthropic": b'"ping"', "openai-chat": b'"delta":{}', "openai-responses": b"response.in_progress"}
        await reply.until(opening[wire.name])
        await reply.until(alive[wire.name])
        assert b"Bad" not in reply.body
        await sample.reply(wire.reply(Text("Good."), bash("ls 0.1"), number=2, output=7), headers=EVENT_STREAM)
        await soon(reply.over())
    read = wire.read(reply.body)
    assert (read.text, [json.loads(c.arguments)["command"] for c in read.calls]) == ("Good.", ["ls 0.1"])
    assert read.usage
    assert read.usage.output_tokens == 7
    starts = {"anthropic": b"event: message_start", "openai-responses": b"event: response.created"}
    assert reply.body.count(starts.get(wire.name, b'"role"')) == 1


@every_wire
async def test_a_suspicious_text_is_blocked_with_its_whole_reply(tls: Tls, wire: Wire) -> None:
    rule = protocol({"at": 0.5, "do": "block"}, judges=["calls", "text"], sentence="Reviewed.")
    async with gated(tls, rule) as at:
        fine = wire.reply(Text("Fine, 0.2."), bash("ls 0.1"))
        assert await turn(at, wire, fine) == fine
        body = await turn(at, wire, wire.reply(Text("How to harm: 0.8."), bash("ls 0.1")))
        assert b"harm" not in body
        assert b"ls 0.1" not in body
        assert b"Reviewed." in body


@every_wire
async def test_text_that_is_suspicious_is_asked_again(tls: Tls, wire: Wire) -> None:
    async with gated(tls, protocol({"at": 0.5, "do": "resample"}, judges=["text"], samples=1)) as at:
        good = wire.reply(Text("Kind, 0.1."), number=2)
        assert await turn(at, wire, wire.reply(Text("Harm, 0.8.")), good) == good


async def test_a_session_may_cost_so_much_and_no_more(tls: Tls) -> None:
    wire = WIRES[0]
    async with gated(tls, protocol({"at": 0.5, "do": "resample"}, samples=1, session_tokens=30)) as at:
        good = wire.reply(Text("Good."), bash("ls 0.1"), number=2)
        assert await turn(at, wire, wire.reply(bash("rm 0.9")), good) == good  # 37 tokens
        body = await turn(at, wire, wire.reply(bash("rm 0.9")))
        assert b"rm 0.9" not in body
    assert "`session_tokens`, 30" in at.log.decisions[-1].reason


@pytest.mark.parametrize("on_error", ["block", "forward"])
async def test_the_rules_deadline_bounds_all_of_it(tls: Tls, on_error: str) -> None:
    wire = WIRES[0]
    rule = {**protocol({"at": 0.5, "do": "resample"}, samples=1, on_error=on_error), "deadline_seconds": 0.05}
    async with gated(tls, rule) as at:
        given = wire.reply(bash("rm 0.9"))
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(given, headers=wire.headers)
        never = await at.provider.next()
        await reply.over()
        await soon(never.gone.wait())
        await at.log.ended(2)
    assert (reply.body == given) is (on_error == "forward")
    assert any("no verdict within 0.05 s" in d.reason for d in at.log.decisions)


async def test_a_client_that_leaves_ends_what_is_asked_for_it(tls: Tls) -> None:
    wire = WIRES[0]
    async with gated(tls, protocol({"at": 0.5, "do": "resample"}, samples=1)) as at:
        client = await at.client(wire.host)
        await client.send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(bash("rm 0.9")), headers=wire.headers)
        asked = await at.provider.next()
        client.close()
        await soon(asked.gone.wait())
        rows = await at.log.ended(2)
    assert {row.outcome for row in rows} == {"gone", "error"}


@every_wire
async def test_a_rule_for_some_tools_asks_again_because_of_these_only(tls: Tls, wire: Wire) -> None:
    rule = {**protocol({"at": 0.5, "do": "resample"}, samples=1), "match": {"tool": "Ba*"}}
    async with gated(tls, rule) as at:
        other = wire.reply(Call("Read", {"command": "rm 0.9"}))
        assert await turn(at, wire, other) == other
        good = wire.reply(bash("ls 0.1"), number=2)
        assert await turn(at, wire, wire.reply(bash("rm 0.9")), good) == good


@every_wire
async def test_what_the_provider_breaks_off_is_never_released(tls: Tls, wire: Wire) -> None:
    async with gated(tls, protocol({"at": 0.5, "do": "resample"})) as at:
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        served = await at.provider.next()
        await served.start(headers=wire.headers)
        await served.send(wire.reply(Text("So."), bash("rm 0.9"))[:300])
        await served.cut()
        await reply.over()
        await at.log.ended()
    assert b"rm 0.9" not in reply.body


@every_wire
async def test_other_rules_see_the_reply_that_goes_on(tls: Tls, wire: Wire) -> None:
    hide = {"name": "hide", "use": "replace", "with": {"secret": "Good", "instead": "Fine"}}
    async with gated(tls, hide, protocol({"at": 0.5, "do": "resample"}, samples=1)) as at:
        body = await turn(at, wire, wire.reply(bash("rm 0.9")), wire.reply(Text("Good."), bash("ls 0.1"), number=2))
    read = wire.read(body)
    assert (read.text, len(read.calls)) == ("Fine.", 1)


async def test_compressed_replies(tls: Tls) -> None:
    for wire in WIRES:
        async with gated(tls, protocol({"at": 0.5, "do": "resample"}, samples=1)) as at:
            reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
            headers = {**wire.headers, "content-encoding": "gzip"}
            await (await at.provider.next()).reply(gzip.compress(wire.reply(bash("rm 0.9"))), headers=headers)
            good = wire.reply(bash("ls 0.1"), number=2)
            await (await at.provider.next()).reply(gzip.compress(good), headers=headers)
            await reply.over()
            assert reply.body == good


@every_wire
async def test_where_deferring_fails_the_other_steps_still_hold(tls: Tls, wire: Wire) -> None:
    steps = {"at": 0.5, "do": "block"}, {"at": 0.8, "do": "defer"}
    async with gated(tls, protocol(*steps, on_error="forward", trusted={"model": "trusted-1"})) as at:
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(bash("rm 0.6"), bash("rm 0.9")), headers=wire.headers)
        await (await at.provider.next()).reply(b"{}", headers=JSON, status=500)
        await reply.over()
    commands = [json.loads(call.arguments)["command"] for call in wire.read(reply.body).calls]
    assert ("rm 0.9" in commands, "rm 0.6" in commands) == (True, False)


async def test_a_trusted_model_elsewhere_gets_its_own_key_and_no_other(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.provider_ca))
    monkeypatch.setenv("TRUSTED_KEY", "sk-of-the-trusted")
    for wire in WIRES:
        async with gated(tls) as at:
            family = "anthropic" if wire.name == "anthropic" else "openai"
            url = f"https://localhost:{at.provider.port}/elsewhere{wire.path}"
            trusted = {"model": "trusted-1", "url": url, "key_env": "TRUSTED_KEY", "format": family}
            at.registry.swap(rules(protocol({"at": 0.5, "do": "defer"}, trusted=trusted)))
            reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
            await (await at.provider.next()).reply(wire.reply(bash("rm 0.9")), headers=wire.headers)
            served = await at.provider.next()
            assert "sk-of-the-client" not in repr(served.headers)
            assert "sk-of-the-trusted" in repr(served.headers)
            assert served.path == f"/elsewhere{wire.path}"
            good = wire.reply(Text("Safe."), number=2)
            await served.reply(good, headers=wire.headers)
            await reply.over()
            assert reply.body == good
            assert "sk-of-the" not in repr(at.log.records)
