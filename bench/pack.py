"""What a policy set costs in its own process, without a network: `python -m lockgate.bench.pack PACK ROUNDS`.

The rules are asked as the proxy asks them, by a pipeline. What is measured is CPU, which a busy machine disturbs less.
Prints JSON: lists of milliseconds or microseconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from time import thread_time
from typing import Any

from lockgate.bench import work
from lockgate.events import BlockEnd, Event, MessageEnd, Request, TextDelta, ToolCall
from lockgate.exchange import Exchange, Ports
from lockgate.policies.pack import named_rules
from lockgate.policies.pipeline import Pipeline
from lockgate.policies.registry import PolicySet, load_rules
from lockgate.ports import Ask
from lockgate.records import Record
from lockgate.wire.anthropic import FORMAT

CALLS = 200
SEEN_RESULTS = 20
"""So many results of each kind are scanned before those that count, as a proxy runs for days: the automata of a rule's
patterns learn what texts hold. What the first ones cost is told beside it."""
KEY = "sk-ant-api03-" + "Xq7Zr2Lm9Tn4" * 8
"""Made up: what the exchange itself is sent with is looked for as well."""


class Nowhere:
    """A log that keeps nothing, and models that are never asked."""

    async def ready(self) -> None: ...

    def put(self, records: list[Record]) -> None: ...

    async def ask(self, ask: Ask, x: Exchange) -> str:
        raise AssertionError("a policy set that is measured asks no model")


async def measure(name: str, rounds: int) -> dict[str, Any]:
    """Each call and each result of a tool is measured once a round, and never one that was seen before."""
    policy_set = load_rules(named_rules(name))
    first = await _scans(policy_set, 0)
    await _round(policy_set, 0)  # what is made or compiled only once is not measured
    for seed in range(-SEEN_RESULTS, 0):
        await _scans(policy_set, seed)
    gc.freeze()
    found = [await _round(policy_set, seed) for seed in range(1, rounds + 1)]
    kinds = found[0]["scan_ms"]
    return {
        "call_ms": [each["call_ms"] for each in found],
        "event_us": [each["event_us"] for each in found],
        "scan_ms": {kind: [each["scan_ms"][kind] for each in found] for kind in kinds},
        "first_scan_ms": first,
        "command_ms": [each["command_ms"] for each in found],
    }


async def _round(policy_set: PolicySet, seed: int) -> dict[str, Any]:
    return {
        "call_ms": [await _call(policy_set, call) for call in work.calls(CALLS, seed)],
        "event_us": await _events(policy_set, work.words(seed)),
        "scan_ms": await _scans(policy_set, seed),
        "command_ms": await _call(policy_set, work.long_command(seed)),
    }


async def _scans(policy_set: PolicySet, seed: int) -> dict[str, float]:
    return {kind: await _scan(policy_set, text) for kind, text in work.results(seed)}


async def _call(policy_set: PolicySet, call: ToolCall) -> float:
    pipeline = Pipeline(policy_set, _exchange(_request("go on")))
    began = thread_time()
    out = await pipeline.reply((call,))
    await pipeline.reply((MessageEnd(stop_reason="tool_use"),))
    milliseconds = (thread_time() - began) * 1e3
    await pipeline.close()
    assert call in out, "an ordinary call was stopped"
    return milliseconds


async def _events(policy_set: PolicySet, pieces: list[str]) -> float:
    """Microseconds for each piece of a streamed text, its end too."""
    pipeline = Pipeline(policy_set, _exchange(_request("go on")))
    events: list[Event] = [*(TextDelta(block=0, text=piece) for piece in pieces), BlockEnd(block=0)]
    began = thread_time()
    for event in events:
        await pipeline.reply((event,))
    return (thread_time() - began) / len(events) * 1e6


async def _scan(policy_set: PolicySet, text: str) -> float:
    request = _request(text)
    pipeline = Pipeline(policy_set, x := _exchange(request))
    began = thread_time()
    pipeline.conceal(request)
    await pipeline.request(request)
    milliseconds = (thread_time() - began) * 1e3
    await pipeline.close()
    assert x.decisions is not None
    return milliseconds


def _request(text: str) -> Request:
    """A request whose last message is the result of a tool."""
    call = {"type": "tool_use", "id": "t", "name": "Read", "input": {"file_path": "notes.txt"}}
    messages = [
        {"role": "user", "content": "Look into it."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": text}]},
    ]
    return FORMAT.read_request(json.dumps({"model": "claude-x", "max_tokens": 1, "messages": messages}).encode())


def _exchange(request: Request) -> Exchange:
    nowhere: Any = Nowhere()
    return Exchange(
        provider="anthropic", format="anthropic", host="api.anthropic.com", endpoint="/v1/messages", request=request,
        ports=Ports(log=nowhere, models=nowhere), credentials=(KEY,),
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
