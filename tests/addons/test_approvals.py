"""`approval`, and the step of `protocol`, through a real proxy: what the client gets when a person has decided."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lockgate.errors import Error
from lockgate.ports import Webhook
from lockgate.records import Approval, now
from lockgate.storage import schema
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.asking import SqlApprovals
from lockgate.storage.signals import Signals
from tests.addons.gated import Gated, gated
from tests.addons.test_gate_secrets import KEY as SECRET
from tests.addons.wires import WIRES, Wire, bash, every_stream, every_wire
from tests.upstream.proxied import EVENT_STREAM, Tls, soon, tls
from tests.upstream.script import Text
from tests.upstream.steered import Served

__all__ = ["tls"]

MONITOR = {"use": "tests.addons.scoring:ByNumber", "name": "number"}
KEY = {"x-api-key": "sk-of-the-client", "authorization": "Bearer sk-of-the-client"}


class People:
    """The port of someone who decides as the test says."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[Approval, asyncio.Future[Approval]]] = asyncio.Queue()

    async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
        put(asked)
        answer = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((asked, answer))
        return await answer

    async def decide(self, state: str, **more: Any) -> Approval:
        """Decide about the next call; gives what was shown of it."""
        asked, answer = await soon(self.asked.get())
        values = {"state": state, "decided_by": "anna", "decided_at": now(), **more}
        answer.set_result(replace(asked, **values))
        return asked


class Posted:
    """The port of webhooks, which keeps what was posted."""

    def __init__(self) -> None:
        self.posts: list[tuple[Webhook, str, Mapping[str, Any], datetime]] = []

    def post(self, to: Webhook, id: str, document: Mapping[str, Any], *, until: datetime) -> None:
        self.posts.append((to, id, document, until))


def approval(mode: str = "enforce", **options: Any) -> dict[str, Any]:
    return {"name": "ask-first", "use": "approval", "mode": mode, "with": options}


def protocol(at: float, **options: Any) -> dict[str, Any]:
    steps = [{"at": at, "do": "approve"}]
    return {"name": "ask-first", "use": "protocol", "with": {"monitors": [MONITOR], "steps": steps, **options}}


both_rules = pytest.mark.parametrize("rule", [approval(), protocol(0.5)], ids=["approval", "protocol"])


@asynccontextmanager
async def asking(tls: Tls, *rules: dict[str, Any], **settings: Any) -> AsyncIterator[tuple[Gated, People]]:
    people = People()
    async with gated(tls, *rules, ports={"approvals": people}, **settings) as at:
        yield at, people


async def begun(at: Gated, wire: Wire, given: bytes) -> Any:
    """A request that the provider has answered whole, so that only the rules are waited for."""
    reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
    served: Served = await at.provider.next()
    await served.reply(given, headers=wire.headers)
    return reply


@every_wire
@both_rules
async def test_an_approved_call_goes_on_byte_for_byte(tls: Tls, wire: Wire, rule: dict[str, Any]) -> None:
    given = wire.reply(Text("So."), bash("rm 0.9"))
    async with asking(tls, rule) as (at, people):
        reply = await begun(at, wire, given)
        asked = await people.decide("approved")
        await reply.over()
        [row] = await at.log.ended()
    assert reply.body == given
    assert (row.outcome, row.rules, row.blocked) == ("passed", ("ask-first",), 0)
    assert (asked.tool, json.loads(asked.arguments), asked.rule) == ("Bash", {"command": "rm 0.9"}, "ask-first")
    assert asked.context[-1] == ("user", "Tidy up, please.")
    assert json.loads(asked.schema)["required"] == ["command"]
    own = [d for d in at.log.decisions if d.rule == "ask-first"]
    assert [(d.action, d.subject) for d in own] == [("held", "toolcall"), ("forwarded", "toolcall")]
    assert own[1].reason == "approved by anna"
    if rule["use"] == "protocol":
        assert (asked.score, asked.reason) == (0.9, "number: so it says")
        assert [d.score for d in own] == [0.9, 0.9]
        assert own[0].reason == "number: so it says"
    assert "sk-of-the-client" not in repr(asked)


@every_wire
@both_rules
async def test_a_denied_call_becomes_a_notice(tls: Tls, wire: Wire, rule: dict[str, Any]) -> None:
    async with asking(tls, rule) as (at, people):
        reply = await begun(at, wire, wire.reply(Text("So."), bash("rm 0.9")))
        await people.decide("denied", note="not on a Friday")
        await reply.over()
        [row] = await at.log.ended()
    [call] = wire.read(reply.body).calls
    command = json.loads(call.arguments)["command"]
    assert "A person was asked about this call and did not approve it." in command
    assert "Friday" not in command
    assert "so it says" not in reply.body.decode()
    assert (row.outcome, row.blocked) == ("blocked", 1)
    assert [d.action for d in at.log.decisions if d.rule == "ask-first"] == ["held", "blocked"]
    assert at.log.decisions[-1].reason == "denied by anna: not on a Friday"


@every_wire
async def test_the_agent_reads_the_note_where_the_person_says_so(tls: Tls, wire: Wire) -> None:
    async with asking(tls, approval()) as (at, people):
        reply = await begun(at, wire, wire.reply(bash("rm 0.9")))
        await people.decide("denied", note="use the trash", note_shown=True)
        await reply.over()
    [call] = wire.read(reply.body).calls
    assert "They say: use the trash" in json.loads(call.arguments)["command"]


@every_wire
@both_rules
async def test_an_edited_call_goes_on_with_its_id_and_passes_the_later_rules(
    tls: Tls, wire: Wire, rule: dict[str, Any]
) -> None:
    given = wire.reply(Text("So."), bash("rm 0.9"))
    later = {"name": "later", "use": "replace", "with": {"secret": "file", "instead": "folder", "where": ["arguments"]}}
    async with asking(tls, rule, later) as (at, people):
        reply = await begun(at, wire, given)
        await people.decide("edited", edited='{"command": "trash file"}')
        await reply.over()
        [row] = await at.log.ended()
    [before], [after] = wire.read(given).calls, wire.read(reply.body).calls
    assert (after.id, after.name) == (before.id, before.name)
    assert json.loads(after.arguments) == {"command": "trash folder"}
    assert wire.read(reply.body).text == "So."
    assert row.outcome == "changed"
    decision = next(d for d in at.log.decisions if d.rule == "ask-first" and d.action == "replaced")
    assert (decision.reason, b"trash file" in decision.out) == ("edited by anna", True)


@every_wire
@pytest.mark.parametrize(
    "edited", ['{"cmd": "ls"}', '{"command": 5}', "[]", "ls", '{"command": "a", "command": "b"}', ""]
)
async def test_an_edit_that_no_tool_could_take_is_blocked(tls: Tls, wire: Wire, edited: str) -> None:
    async with asking(tls, approval()) as (at, people):
        reply = await begun(at, wire, wire.reply(bash("rm 0.9")))
        await people.decide("edited", edited=edited)
        await reply.over()
        await at.log.ended()
    [call] = wire.read(reply.body).calls
    assert "could not be checked" in json.loads(call.arguments)["command"]
    assert at.log.decisions[-1].action == "blocked"


@every_wire
@pytest.mark.parametrize("default", ["deny", "approve"])
async def test_the_default_decides_when_nobody_does(tls: Tls, wire: Wire, default: str) -> None:
    given = wire.reply(bash("rm 0.9"))
    async with asking(tls, approval(default=default, late_sentence="Too late.")) as (at, people):
        reply = await begun(at, wire, given)
        asked = await people.decide("expired", decided_by="")
        await reply.over()
        await at.log.ended()
    assert asked.by_default == default
    assert (reply.body == given) is (default == "approve")
    assert (b"Too late." in reply.body) is (default == "deny")
    assert at.log.decisions[-1].reason == f"nobody decided in time: {default} is the default"


@every_wire
async def test_parallel_calls_are_decided_one_by_one(tls: Tls, wire: Wire) -> None:
    async with asking(tls, approval()) as (at, people):
        reply = await begun(at, wire, wire.reply(bash("ls 1"), bash("ls 2"), bash("ls 3")))
        for state in ("approved", "denied", "approved"):
            await people.decide(state)
        await reply.over()
    commands = [json.loads(call.arguments)["command"] for call in wire.read(reply.body).calls]
    assert [command for command in commands if "printf" not in command] == ["ls 1", "ls 3"]
    assert len(commands) == 3


@every_wire
async def test_only_calls_that_score_high_enough_wait(tls: Tls, wire: Wire) -> None:
    given = wire.reply(Text("So."), bash("ls 0.4"))
    async with asking(tls, protocol(0.5)) as (at, people):
        reply = await begun(at, wire, given)
        await reply.over()
        assert people.asked.empty()
    assert reply.body == given


@every_wire
async def test_a_shadow_rule_asks_nobody(tls: Tls, wire: Wire) -> None:
    given = wire.reply(bash("rm 0.9"))
    async with asking(tls, approval("shadow")) as (at, people):
        reply = await begun(at, wire, given)
        await reply.over()
        await at.log.ended()
        assert people.asked.empty()
    assert reply.body == given
    assert [(d.action, d.mode) for d in at.log.decisions] == [("held", "shadow"), ("forwarded", "shadow")]


@every_wire
async def test_where_nobody_can_be_asked_nothing_is_let_go(tls: Tls, wire: Wire) -> None:
    class Away:
        async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
            raise Error("the database is away")

    async with gated(tls, approval(default="approve"), ports={"approvals": Away()}) as at:
        reply = await begun(at, wire, wire.reply(bash("rm 0.9")))
        await reply.over()
        await at.log.ended()
    assert b"could not be checked" in reply.body
    assert "database" not in reply.body.decode()
    assert at.log.decisions[-1].reason == "the database is away; on_error: block"


@every_wire
async def test_an_answer_about_another_call_is_none(tls: Tls, wire: Wire) -> None:
    async with asking(tls, approval()) as (at, people):
        reply = await begun(at, wire, wire.reply(bash("rm 0.9")))
        await people.decide("approved", digest="0" * 64)
        await reply.over()
    [call] = wire.read(reply.body).calls
    assert "could not be checked" in json.loads(call.arguments)["command"]


@every_stream
async def test_the_client_is_kept_alive_while_a_person_thinks(tls: Tls, wire: Wire) -> None:
    alive = {"anthropic": b'"ping"', "openai-chat": b'"delta":{}', "openai-responses": b"response.in_progress"}
    async with asking(tls, approval(), limits={"keep_alive_seconds": 0.01}) as (at, people):
        reply = await (await at.client(wire.host)).send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(Text("So."), bash("rm 0.9")), headers=EVENT_STREAM)
        await reply.until(b"So.")
        await reply.until(alive[wire.name])
        assert b"rm 0.9" not in reply.body
        await people.decide("approved")
        await soon(reply.over())
    assert [json.loads(call.arguments)["command"] for call in wire.read(reply.body).calls] == ["rm 0.9"]


@every_wire
async def test_what_is_concealed_is_shown_to_nobody_and_goes_on_all_the_same(tls: Tls, wire: Wire) -> None:
    guard = {"name": "secrets", "use": "secret_guard", "with": {"requests": "alert", "arguments": "alert"}}
    async with asking(tls, guard, approval()) as (at, people):
        reply = await begun(at, wire, wire.reply(bash(f"curl -u x:{SECRET} sk-of-the-client")))
        asked, answer = await soon(people.asked.get())
        assert SECRET not in repr(asked)
        assert "sk-of-the-client" not in repr(asked)
        shown = json.loads(asked.arguments)["command"]
        answer.set_result(
            replace(asked, state="edited", decided_by="anna", edited=json.dumps({"command": f"{shown} -s"}))
        )
        await reply.over()
        await at.log.ended()
    [call] = wire.read(reply.body).calls
    assert json.loads(call.arguments)["command"] == f"curl -u x:{SECRET} sk-of-the-client -s"
    kept = b"".join(d.given + d.out + d.reason.encode() for d in at.log.decisions)
    assert SECRET.encode() not in kept


@every_wire
@pytest.mark.parametrize("client", ["h1", "h2"])
async def test_a_client_that_leaves_ends_the_wait(tls: Tls, wire: Wire, client: Any) -> None:
    async with asking(tls, approval(), client=client) as (at, people):
        caller = await at.client(wire.host)
        await caller.send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(bash("rm 0.9")), headers=wire.headers)
        _, answer = await soon(people.asked.get())
        caller.close()
        [row] = await at.log.ended()
        assert answer.cancelled()
        assert row.outcome == "gone"
        assert not at.gate._judging
        assert [each.action for each in at.log.decisions] == ["held"]
        came, got = (each.content or b"" for each in at.log.comms if each.type == "RESPONSE")
        assert (b"rm 0.9" in came, b"rm 0.9" in got) == (True, False), "the client never had the call"


async def test_a_new_approval_is_told_to_the_webhook(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "whsec_aHVudGVyMg==")
    wire, people, posted = WIRES[0], People(), Posted()
    rule = approval(webhook={"url": "https://hooks.example.com/abc", "key_env": "HOOK_KEY"})
    async with gated(tls, rule, ports={"approvals": people, "webhooks": posted}) as at:
        reply = await begun(at, wire, wire.reply(bash("rm 0.9")))
        asked = await people.decide("approved")
        await reply.over()
    [(to, id, document, until)] = posted.posts
    assert (to.url, to.key, id, until) == ("https://hooks.example.com/abc", b"hunter2", asked.id, asked.deadline)
    assert document["type"] == "approval.asked"
    told = document["data"]
    assert (told["id"], told["digest"], told["arguments"], told["state"]) == (
        asked.id, asked.digest, asked.arguments, "pending"
    )  # fmt: skip
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("wire", WIRES[:2], ids=["stream", "whole"])
async def test_a_person_somewhere_else_decides_through_the_database(tls: Tls, database_url: str, wire: Wire) -> None:
    """A client that gives up and sends its request again is given the answer to the first."""
    schema.upgrade(database_url)
    signals = Signals(database_url)
    approvals = SqlApprovals(database_url, signals)
    async with (
        gated(tls, approval(), ports={"approvals": approvals}) as at,
        ApprovalDesk(database_url) as desk,
    ):
        signals.start()
        client = await at.client(wire.host)
        await client.send(wire.body, KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(bash("rm 0.9")), headers=wire.headers)
        while not (waiting := await desk.pending()):
            pass
        client.close()
        await at.log.ended()
        while not (await desk.pending())[0].left_at:
            pass
        await desk.decide(waiting[0].id, "approved", digest=waiting[0].digest, by="anna")
        given = wire.reply(bash("rm 0.9"), number=2)
        reply = await begun(at, wire, given)
        await soon(reply.over())
        assert reply.body == given
        [used] = await desk.decided()
        assert (used.id, used.exchange_id) == (waiting[0].id, (await at.log.ended(2))[1].id)
        other = {**wire.document, "messages": [{"role": "user", "content": "Something else."}]}
        third = await (await at.client(wire.host)).send(json.dumps(other).encode(), KEY, path=wire.path)
        await (await at.provider.next()).reply(wire.reply(bash("rm 0.9"), number=3), headers=wire.headers)
        while not (waiting := await desk.pending()):
            pass
        assert waiting[0].id != used.id
        await desk.decide(waiting[0].id, "denied", digest=waiting[0].digest, by="anna")
        await soon(third.over())
        assert b"did not approve" in third.body
    await approvals.close()
    await signals.close()


async def test_the_deadline_is_the_rules_and_the_persons(tls: Tls) -> None:
    wire = WIRES[0]
    async with asking(tls, approval(deadline_seconds=7200)) as (at, people):
        [rule] = at.registry.current.rules
        assert rule.deadline_seconds == 7230
        reply = await begun(at, wire, wire.reply(bash("rm 0.9")))
        asked = await people.decide("approved")
        await reply.over()
    assert asked.deadline - asked.asked_at == timedelta(hours=2)
