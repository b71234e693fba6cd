"""What is stopped is refused, and what is under way ends at once, however far it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lockgate.addons.kill_watch import KillWatch
from lockgate.errors import WireError
from lockgate.records import Kill
from lockgate.storage import schema
from lockgate.storage.signals import Signals
from tests.addons.gated import Gated, gated
from tests.addons.messages import ASK, PATH, START, WHOLE, call, end, message_of, stream, text
from tests.addons.steered_policies import Waits, WaitsForRequests
from tests.addons.streaming import pairs
from tests.addons.wires import Wire, bash, every_stream, every_wire
from tests.upstream.proxied import Http, Tls, soon, tls
from tests.upstream.script import Text

__all__ = ["tls"]

WAITS = {"name": "waits", "use": "tests.addons.steered_policies:Waits"}
TEXTS = {"name": "texts", "use": "tests.addons.steered_policies:Crashes"}
JSON = {"content-type": "application/json"}
ALL = Kill(scope="all", set_by="ana", reason="A drill")


@pytest.fixture(autouse=True)
def prepared() -> None:
    Waits.prepare()
    WaitsForRequests.prepare()


async def refused(at: Gated, *, outcome: str) -> None:
    """The one exchange is told to the log, with who stopped it and why."""
    [row] = await at.log.ended()
    [decision] = [each for each in at.log.decisions if each.rule == "kill_switch"]
    assert (row.outcome, row.rules, row.blocked) == (outcome, ("kill_switch",), 1)
    assert (decision.action, decision.mode) == ("blocked", "enforce")
    assert "by ana" in decision.reason
    assert at.under_way == 0


@every_wire
async def test_a_request_is_refused_with_the_operators_reason(tls: Tls, wire: Wire) -> None:
    async with gated(tls) as at:
        at.stop(ALL)
        reply = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        await reply.over()
        assert (reply.status, reply.complete) == (400, True)
        said = json.loads(reply.body)["error"]["message"]
        assert "kill_switch" in said
        assert "an operator of Lockgate stopped everything. The reason given: A drill." in said
        await refused(at, outcome="refused")
        assert at.log.decisions[0].subject == "request"
        at.stop()
        free = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(Text("Yes?")), headers=wire.headers)
        await free.over()
        assert free.status == 200


@pairs
@every_stream
async def test_an_open_stream_ends_with_the_formats_error(tls: Tls, wire: Wire, client: Http, upstream: Http) -> None:
    given = wire.reply(Text("So"), bash("ls"))
    async with gated(tls, WAITS, client=client, upstream=upstream) as at:
        reply = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        served = await at.provider.next()
        await served.start()
        await served.send(given[: given.index(b'"So"') + 100])
        await reply.until(b'"So"')
        at.stop(ALL)
        await reply.over()
        await soon(served.gone.wait())
        assert reply.complete
        assert b"A drill" in reply.body
        with pytest.raises(WireError):
            wire.read(reply.body)
        await refused(at, outcome="blocked")


@pairs
@every_stream
async def test_a_stream_that_no_rule_sees_is_reset(tls: Tls, wire: Wire, client: Http, upstream: Http) -> None:
    given = wire.reply(Text("So"), bash("ls"))
    part = given[: given.index(b'"So"') + 100]
    async with gated(tls, client=client, upstream=upstream) as at:
        reply = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        served = await at.provider.next()
        await served.start()
        await served.send(part)
        await reply.until(b'"So"')
        at.stop(ALL)
        await reply.over()
        await soon(served.gone.wait())
        assert (reply.complete, reply.body) == (False, part)
        await refused(at, outcome="blocked")


@every_stream
async def test_a_call_that_is_half_told_is_reset_and_not_ended(tls: Tls, wire: Wire) -> None:
    given = wire.reply(Text("So"), bash("rm -rf half"))
    async with gated(tls, TEXTS) as at:
        reply = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        served = await at.provider.next()
        await served.start()
        await served.send(given[: given.index(b"Bash") + 200])
        await reply.until(b"Bash")
        at.stop(ALL)
        await reply.over()
        assert not reply.complete
        await refused(at, outcome="blocked")


@pairs
@every_stream
async def test_a_held_call_is_denied(tls: Tls, wire: Wire, client: Http, upstream: Http) -> None:
    async with gated(tls, WAITS, client=client, upstream=upstream) as at:
        reply = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        served = await at.provider.next()
        await served.start()
        await served.send(wire.reply(Text("So"), bash("wait here")))
        await soon(Waits.asked.wait())
        at.stop(ALL)
        await reply.over()
        await soon(served.gone.wait())
        await soon(Waits.cancelled.wait())
        assert b"wait here" not in reply.body
        assert b"A drill" in reply.body
        await refused(at, outcome="blocked")


@pairs
async def test_whole_replies_are_refused_while_they_are_waited_for(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, WAITS, client=client, upstream=upstream) as at:
        for sent in ("nothing", "its head", "half of it", "all of it"):
            Waits.prepare()
            reply = await (await at.client()).send(WHOLE, path=PATH)
            served = await at.provider.next()
            body = message(call_of="wait")
            if sent != "nothing":
                await served.start(headers={**JSON, "content-length": str(len(body))})
            if sent in ("half of it", "all of it"):
                await served.send(body[: len(body) // 2])
            if sent == "all of it":
                await served.send(body[len(body) // 2 :])
                await served.end()
                await soon(Waits.asked.wait())
            at.stop(ALL)
            await reply.over()
            if sent != "all of it":
                await soon(served.gone.wait())
            assert (sent, reply.status, reply.complete) == (sent, 400, True)
            assert b"A drill" in reply.body
            at.stop()
        assert [row.outcome for row in await at.log.ended(4)] == ["blocked"] * 4
        assert at.under_way == 0


def message(call_of: str) -> bytes:
    block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": call_of}}
    return json.dumps({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [block],
        "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1},
    }).encode()  # fmt: skip


@pytest.mark.parametrize("client", ["h1", "h2"])
async def test_a_request_that_waits_for_a_rule_is_refused_at_once(tls: Tls, client: Http) -> None:
    waits = {"name": "waits", "use": "tests.addons.steered_policies:WaitsForRequests"}
    async with gated(tls, waits, client=client) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await soon(WaitsForRequests.asked.wait())
        at.stop(ALL)
        await reply.over()
        assert (reply.status, reply.complete) == (400, True)
        await refused(at, outcome="refused")
        WaitsForRequests.verdict.set()


async def test_only_what_is_meant_ends(tls: Tls) -> None:
    async with gated(tls, client="h2", upstream="h2") as at:
        client = await at.client()
        one = await client.send(ASK, {"user-agent": "claude-cli/2"}, path=PATH)
        first = await at.provider.next()
        other = await client.send(ASK, {"user-agent": "codex_cli/1"}, path=PATH)
        second = await at.provider.next()
        for served, reply in ((first, one), (second, other)):
            await served.start()
            await served.send(START)
            await reply.until(START)
        at.stop(Kill(scope="agent", target="claude-*", set_by="ana"))
        await one.over()
        await soon(first.gone.wait())
        await second.send(*text(0, "on"), *end())
        await second.end()
        await other.over()
        assert (one.complete, other.complete) == (False, True)
        assert sorted(row.outcome for row in await at.log.ended(2)) == ["blocked", "passed"]


async def test_a_session_is_stopped_by_its_id_and_so_is_what_comes_of_it(tls: Tls) -> None:
    async with gated(tls) as at:
        client = await at.client()
        marked = {"x-claude-code-session-id": "m-1", "user-agent": "claude-cli/2"}
        reply = await client.send(ASK, marked, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "hello")))
        await reply.over()
        [row] = await at.log.ended()
        at.stop(Kill(scope="session", target=row.session_id, set_by="ana"))
        again = await client.send(ASK, marked, path=PATH)
        assert (await again.over()).status == 400
        anew = json.loads(ASK) | {"messages": [{"role": "user", "content": "quite another"}]}
        other = await client.send(json.dumps(anew).encode(), marked, path=PATH)
        assert (await other.over()).status == 400  # the marker was learnt
        free = await client.send(json.dumps(anew).encode(), marked | {"x-claude-code-session-id": "m-2"}, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "hello")))
        assert (await free.over()).status == 200


async def test_the_exchange_in_which_a_rule_ends_its_session_ends_kindly_and_others_are_cut(
    tls: Tls, sqlite_url: str, tmp_path: Path
) -> None:
    schema.upgrade(sqlite_url)
    rule = {"name": "careful", "use": "protocol", "with": {
        "monitors": [{"use": "tests.addons.scoring:ByNumber"}], "steps": [{"at": 0.9, "do": "terminate"}],
        "ended_sentence": "That is all for today.",
    }}  # fmt: skip
    async with gated(tls, rule) as at:
        watch = KillWatch(at.gate.stops.switch, sqlite_url, tmp_path / "stop", Signals(sqlite_url))
        watch.start(at.gate.stop_exchanges)
        at.gate.ports = dataclasses.replace(at.gate.ports, sessions=watch)
        marked = {"x-claude-code-session-id": "m-1", "user-agent": "claude-cli/2"}
        other = await (await at.client()).send(ASK, marked, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START)
        ending = await (await at.client()).send(ASK, marked, path=PATH)
        await (await at.provider.next()).reply(stream(call(0, "rm 0.95"), stop="tool_use"))
        await ending.over()
        await other.over()
        await soon(served.gone.wait())
        assert "That is all for today." in str(message_of(ending.body))
        assert not other.complete or b"That is all for today." in other.body
        late = await (await (await at.client()).send(ASK, marked, path=PATH)).over()
        assert late.status == 400
        assert b"That is all for today." in late.body
        await watch.read()
        [kill] = watch.switch.kills
        assert (kill.set_by, kill.scope) == ("rule protocol", "session")
        assert "m-1" in kill.names
        await watch.close()


async def test_a_model_is_stopped_also_where_a_rule_chose_it(tls: Tls) -> None:
    other = {"name": "other", "use": "tests.addons.steered_policies:OtherModel"}
    async with gated(tls, other) as at:
        client = await at.client()
        for model in ("claude-x", "CLAUDE-oth*"):
            at.stop(Kill(scope="model", target=model, set_by="ana"))
            reply = await client.send(ASK, path=PATH)
            assert (await reply.over()).status == 400
            assert b"stopped this model" in reply.body
