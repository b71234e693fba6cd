"""Flows of a data set as conversations: each step is a request with what happened before, in any of three formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from time import perf_counter
from typing import Any, cast

from lockgate.cli import trial
from lockgate.errors import ConfigError
from lockgate.events import Event, MessageEnd, Request, TextDelta, ToolCall
from lockgate.exchange import Exchange, Ports
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import PolicySet
from lockgate.policies.run import FAILED
from lockgate.records import Decision, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """A call of a flow and what it gives; `aside` where the harm is done without it as well."""

    call: ToolCall
    result: str
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of a flow: `stopped` where a step that the harm needs was, before or when it is done."""

    stopped: bool
    decisions: Sequence[Decision]
    milliseconds: float
    leaked_bytes: int
    failed: bool


def steps_of(document: Mapping[str, Any], where: str = "") -> list[FlowStep]:
    """The steps of a case. Raises ConfigError."""
    steps: list[FlowStep] = []
    for at, step in enumerate(cast(list[Any], document["steps"])):
        if not isinstance(step, dict) or not ("call" in step or "command" in step):
            raise ConfigError(f"{where}step {at + 1} has neither 'command' nor 'call'")
        steps.append(_step(cast(dict[str, Any], step), f"toolu_{at + 1:06d}_{new_id()[-8:]}"))
    return steps


def _step(step: Mapping[str, Any], id: str) -> FlowStep:
    return FlowStep(
        call=replace(call_of(step), id=id), result=_text(step.get("result", "")), aside=bool(step.get("aside"))
    )


def _text(value: Any) -> str:
    """A text; one in parts is put together, so that scanners of files do not take it for live."""
    return "".join(cast(list[str], value)) if isinstance(value, list) else str(value)


async def run(policy_set: PolicySet, document: Mapping[str, Any], ports: Ports, *, harmful: bool) -> Ran:
    """Ask the rules about each step in turn; what they refuse did not happen, and the flow goes on without it."""
    format = str(document.get("format", "anthropic"))
    steps, session, done = steps_of(document), new_id(), list[tuple[FlowStep, str]]()
    harm = int(document.get("harm", len(steps))) - 1
    stopped, failed, decisions, milliseconds, leaked = False, False, list[Decision](), 0.0, 0
    for at, step in enumerate(steps):
        x = _exchange(format, str(document.get("prompt", "Please go on.")), done, session, ports)
        began = perf_counter()
        released = await _released(policy_set, x, step.call)
        milliseconds += (perf_counter() - began) * 1000
        decisions += x.decisions
        failed |= any(FAILED in event.text for event in released if isinstance(event, TextDelta))
        passed = step.call in released
        stopped |= not passed and (not harmful or (at <= harm and not step.aside))
        leaked += len(step.call.arguments.encode("utf-8", "replace")) if passed and at == harm and harmful else 0
        if passed:
            done.append((step, step.result))
    return Ran(
        stopped=stopped, decisions=decisions, milliseconds=milliseconds, leaked_bytes=0 if stopped else leaked,
        failed=failed,
    )  # fmt: skip


async def _released(policy_set: PolicySet, x: Exchange, call: ToolCall) -> Sequence[Event]:
    pipeline, released = Pipeline(policy_set, x), list[Event]()
    try:
        await pipeline.request(x.request)
        released += await pipeline.reply((call,))
        released += await pipeline.reply((MessageEnd(stop_reason="tool_use", usage=None),))
    except Refused:
        released = []
    await pipeline.close()
    return released


def _exchange(format: str, prompt: str, done: Sequence[tuple[FlowStep, str]], session: str, ports: Ports) -> Exchange:
    if format not in trial.FORMATS:
        raise ConfigError(f"unknown format '{format}'; there are: {', '.join(trial.FORMATS)}")
    module, provider, host, endpoint = trial.FORMATS[format]
    request: Request = import_module(module).FORMAT.read_request(
        json.dumps(conversation(format, prompt, [(step.call, result) for step, result in done])).encode()
    )
    return Exchange(
        provider=provider, format=format, host=host, endpoint=endpoint, request=request, ports=ports, session_id=session
    )


def conversation(format: str, prompt: str, done: Sequence[tuple[ToolCall, str]]) -> dict[str, Any]:
    """A request whose history holds these calls and results."""
    match format:
        case "anthropic":
            messages: list[Any] = [{"role": "user", "content": prompt}]
            for call, result in done:
                messages += _anthropic(call, result)
            return {"model": "claude-x", "max_tokens": 100, "stream": True, "messages": messages}
        case "openai-chat":
            messages = [{"role": "user", "content": prompt}]
            for call, result in done:
                messages += _chat(call, result)
            return {"model": "x", "stream": True, "messages": messages}
        case _:
            items: list[Any] = [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
            ]
            for call, result in done:
                items += _responses(call, result)
            return {"model": "x", "stream": True, "input": items}


def _anthropic(call: ToolCall, result: str) -> list[Any]:
    given = {"input": call.arguments} if call.custom else json.loads(call.arguments or "{}")
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": given}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result}]},
    ]


def _chat(call: ToolCall, result: str) -> list[Any]:
    kind, key = ("custom", "input") if call.custom else ("function", "arguments")
    called = {"id": call.id, "type": kind, kind: {"name": call.name, key: call.arguments}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]


def _responses(call: ToolCall, result: str) -> list[Any]:
    kind, key = ("custom_tool_call", "input") if call.custom else ("function_call", "arguments")
    return [
        {"type": kind, "call_id": call.id, "name": call.name, key: call.arguments},
        {"type": f"{kind}_output", "call_id": call.id, "output": result},
    ]


def call_of(document: Mapping[str, Any]) -> ToolCall:
    """The tool call of a case; a bare command is a call of a shell tool."""
    given: Any = document.get("call")
    bare: dict[str, Any] = {"name": "Bash", "arguments": {"command": document.get("command", given)}}
    call: dict[str, Any] = cast(dict[str, Any], given) if isinstance(given, dict) else bare
    arguments = call.get("arguments", call.get("input", {}))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(
        block=1, id="call_1", name=str(call.get("name", "Bash")), arguments=text, custom=bool(call.get("custom"))
    )
