"""Runs the labelled texts of a data set through a policy set: as the result of a tool, and as what a model says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from lockgate.events import BlockEnd, Event, MessageEnd, TextDelta
from lockgate.exchange import Exchange, Ports
from lockgate.policies.evaluate import Case, Outcome
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import PolicySet
from lockgate.policies.run import FAILED
from lockgate.records import Decision

SIZES = (1, 2, 3, 5, 8, 13, 21)
"""The sizes of the pieces that a text is streamed in."""
CUTS = 24
"""At so many places a text is cut in two besides, in the secret where there is one."""


async def outcome(policy_set: PolicySet, case: Case, ports: Ports, *, said: bool) -> Outcome:
    """What becomes of the text; with `said` also where a model says it, streamed in many ways.

    A case that has a `said` of its own tells what the conversation held: then the text is only what the model says.
    """
    text, secret = _whole(case.document["text"]), _whole(case.document.get("secret", ""))
    held, outs, decisions = case.document.get("said"), list[str](), list[Decision]()
    request, began = _request(text if held is None else _whole(held)), perf_counter()
    told, more = await (
        _told(policy_set, request, ports) if held is None else _said(policy_set, request, (text,), ports)
    )
    milliseconds = (perf_counter() - began) * 1000
    outs.append(told)
    decisions += more
    for pieces in _splits(text, secret) if said or held is not None else ():
        out, more = await _said(policy_set, request, pieces, ports)
        outs.append(out)
        decisions += more
    leaks = [out.count(secret) * len(secret.encode("utf-8", "replace")) if secret else 0 for out in outs]
    stopped = not any(leaks) if secret else any(out != text for out in outs)
    return Outcome(
        case=case, stopped=stopped, score=max((one.score for one in decisions if one.score is not None), default=None),
        leaked_bytes=max(leaks), splits=len(outs) - 1, milliseconds=milliseconds,
        reason="; ".join(dict.fromkeys(one.reason for one in decisions if one.reason)),
        failed=any(FAILED in out for out in outs),
    )  # fmt: skip


def _whole(value: Any) -> str:
    """Texts that a scanner of secrets would take for live ones stand in parts."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _request(text: str) -> Any:
    from lockgate.wire.anthropic import FORMAT

    call = {"type": "tool_use", "id": "call_1", "name": "Read", "input": {"file_path": "notes.txt"}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": text}
    messages = [
        {"role": "user", "content": "Look into notes.txt, please."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    return FORMAT.read_request(json.dumps({"model": "claude-x", "max_tokens": 1, "messages": messages}).encode())


def _exchange(request: Any, ports: Ports) -> Exchange:
    return Exchange(
        provider="anthropic",
        format="anthropic",
        host="api.anthropic.com",
        endpoint="/v1/messages",
        request=request,
        ports=ports,
    )


async def _told(policy_set: PolicySet, request: Any, ports: Ports) -> tuple[str, list[Decision]]:
    """The text of the tool's result as it goes on; the refusal where it does not."""
    x = _exchange(request, ports)
    pipeline = Pipeline(policy_set, x)
    try:
        out = (await pipeline.request(request)).document["messages"][2]["content"][0]["content"]
    except Refused as refusal:
        out = str(refusal)
    await pipeline.close()
    return str(out), list(x.decisions)


async def _said(policy_set: PolicySet, request: Any, pieces: Sequence[str], ports: Ports) -> tuple[str, list[Decision]]:
    """The text as it goes on to the client where a model says it in these pieces."""
    x = _exchange(request, ports)
    pipeline, out = Pipeline(policy_set, x), list[str]()
    events: list[Event] = [TextDelta(block=0, text=piece) for piece in pieces]
    try:
        for event in (*events, BlockEnd(block=0), MessageEnd(stop_reason="end_turn")):
            out += [each.text for each in await pipeline.reply((event,)) if isinstance(each, TextDelta)]
    except Refused as refusal:
        out.append(str(refusal))
    await pipeline.close()
    return "".join(out), list(x.decisions)


def _splits(text: str, secret: str) -> Iterator[Sequence[str]]:
    yield (text,)
    for size in SIZES:
        yield [text[at : at + size] for at in range(0, len(text), size)]
    start = max(text.find(secret), 0)
    length = len(secret) or len(text)
    for at in sorted({start + length * number // CUTS for number in range(1, CUTS)}):
        yield (text[:at], text[at:])
