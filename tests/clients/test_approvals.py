"""Real clients whose calls wait for a person, who decides on the command line of another process."""

from __future__ import annotations

import asyncio

import pytest

from lockgate.records import Approval
from lockgate.storage import schema
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.queries import Queries
from tests.clients.agents import AGENTS, CODING
from tests.clients.running import MARKER, Home, Ran, run
from tests.clients.test_end_to_end import LOCKGATE, Agent, Operator, operator
from tests.upstream.provider import Provider

__all__ = ["operator"]

pytestmark = pytest.mark.clients

ASK = {"name": "ask-first", "use": "approval", "with": {"deadline_seconds": 80}}
SOME = [*CODING, *(agent for agent in AGENTS if agent.name in ("python-chat-whole", "node-anthropic-stream"))]
some_agents = pytest.mark.parametrize("agent", SOME, ids=str, indirect=True)


async def waiting(operator: Operator) -> Approval:
    """The call that waits, once one does."""
    async with ApprovalDesk(operator.database) as desk:
        while not (found := await desk.pending()):  # noqa: ASYNC110  (nobody tells this process)
            await asyncio.sleep(0.01)
    [only] = found
    return only


async def decide(operator: Operator, agent: Agent, home: Home, *arguments: str) -> Ran:
    command = [LOCKGATE, "approve", *arguments, "--config", str(operator.folder / "lockgate.yaml")]
    return await run(command, agent.environment(home.folder), home.work)


@some_agents
async def test_an_agent_goes_on_when_its_call_is_approved(
    agent: Agent, provider: Provider, operator: Operator, home: Home
) -> None:
    schema.upgrade(operator.database)
    running = asyncio.ensure_future(operator.run(agent, home, [ASK]))
    held = await waiting(operator)
    assert not (home.work / MARKER).exists()
    assert f"touch {MARKER}" in held.arguments
    assert any("Touch the marker file" in text for _, text in held.context)
    decided = await decide(operator, agent, home, held.id[-8:], "--yes", "--by", "anna")
    assert decided.code == 0, decided.err
    ran = await running
    assert (ran.code, "done: " in ran.out) == (0, True), ran.err
    assert (home.work / MARKER).exists()
    async with Queries(operator.database) as log:
        detail = await log.exchange(held.exchange_id)
    assert detail
    assert [one.action for one in detail.decisions] == ["held", "forwarded"]
    assert detail.decisions[-1].reason == "approved by anna"


@some_agents
async def test_an_agent_reads_that_its_call_was_denied(
    agent: Agent, provider: Provider, operator: Operator, home: Home
) -> None:
    schema.upgrade(operator.database)
    running = asyncio.ensure_future(operator.run(agent, home, [ASK]))
    held = await waiting(operator)
    decided = await decide(operator, agent, home, "deny", held.id, "--note", "not on a Friday", "--show-note")
    assert decided.code == 0, decided.err
    ran = await running
    assert ran.code == 0, ran.err
    assert not (home.work / MARKER).exists()
    assert "not on a Friday" in ran.out, (ran.out, ran.err)
    assert "blocked: 1 by ask-first" in ran.err
