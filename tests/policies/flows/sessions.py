"""Sessions for tests of rules that look at what was done before: a conversation, and the call that comes next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lockgate.cli.flow_cases import conversation
from lockgate.config import RuleConfig
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.pipeline import Pipeline
from lockgate.policies.registry import PolicySet, load_rules
from lockgate.wire.whole import format_of
from tests.policies.chains import exchange_of

FORMATS = ("anthropic", "openai-chat", "openai-responses")
WORDS = "Please go on."

type Done = Sequence[tuple[ToolCall, str]]


def call(tool: str, call_id: str = "toolu_0000000000last", /, **arguments: Any) -> ToolCall:
    return ToolCall(block=1, id=call_id, name=tool, arguments=json.dumps(arguments))


def bash(command: str, id: str = "toolu_0000000000last") -> ToolCall:
    return call("Bash", id, command=command)


def done(*steps: str | ToolCall | tuple[str | ToolCall, str], start: int = 0) -> list[tuple[ToolCall, str]]:
    """Calls that were made, each with its result; a text is a shell command."""
    out: list[tuple[ToolCall, str]] = []
    for number, step in enumerate(steps, start):
        given, result = step if isinstance(step, tuple) else (step, "")
        made = bash(given, f"toolu_{number:010d}made") if isinstance(given, str) else given
        out.append((made, result))
    return out


def rules(use: str, **options: Any) -> PolicySet:
    return load_rules([RuleConfig.model_validate({"name": "r", "use": use, "with": options})])


def exchange(history: Done, *, format: str = "anthropic", prompt: str = WORDS, **fields: Any) -> Exchange:
    body = json.dumps(conversation(format, prompt, history)).encode()
    request = format_of(format).read_request(body)
    return exchange_of(request, format=format, **{"session_id": "s", **fields})


async def out_of(policy_set: PolicySet, x: Exchange, *calls: ToolCall) -> list[Event]:
    """What goes on of a reply that makes these calls."""
    pipeline, out = Pipeline(policy_set, x), list[Event]()
    await pipeline.request(x.request)
    for each in calls:
        out += await pipeline.reply((each,))
    return out


async def stopped(policy_set: PolicySet, x: Exchange, given: ToolCall) -> bool:
    return given not in await out_of(policy_set, x, given)


def reason(x: Exchange) -> str:
    return x.decisions[-1].reason
