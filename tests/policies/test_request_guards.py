"""`model_guard`, `context_guard` and `system_note`: what they make of requests of each format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import Request
from lockgate.policies.pipeline import Refused
from lockgate.policies.registry import load_rules
from lockgate.wire import anthropic, openai_chat, openai_responses
from tests.policies.chains import exchange_of, pipeline_of

FORMATS = {format.name: format for format in (anthropic.FORMAT, openai_chat.FORMAT, openai_responses.FORMAT)}
ASK = {"model": "claude-big-1", "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}]}


async def out(use: str, options: dict[str, Any], document: dict[str, Any], format: str = "anthropic") -> Request:
    given = FORMATS[format].read_request(json.dumps(document).encode())
    rule = load_rules([RuleConfig.model_validate({"name": "g", "use": use, "with": options})]).rules[0]
    made = await pipeline_of(rule, x=exchange_of(given, format=format)).request(given)
    if made.document == given.document:
        assert made is given
    return made


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"allow": ["claude-*"], "deny": ["*-2"]}, {}),
        ({"map": {"claude-big*": "claude-small", "*": "other"}}, {"model": "claude-small"}),
        ({"map": {"gpt-*": "x"}}, {}),
        ({"clamp": {"max_tokens": {"most": 4096}}}, {"max_tokens": 4096}),
        ({"clamp": {"max_tokens": {"least": 10000}}}, {"max_tokens": 10000}),
        ({"clamp": {"max_tokens": {"most": 9000}, "top_k": {"most": 1}}}, {}),
        ({"set": {"store": False, "max_tokens": 9000}}, {"store": False}),
    ],
)
async def test_model_guard_changes(options: dict[str, Any], changed: dict[str, Any]):
    assert (await out("model_guard", options, ASK)).document == {**ASK, **changed}


async def test_model_guard_inside_and_away():
    document = {**ASK, "thinking": {"type": "enabled", "budget_tokens": 5000}, "metadata": {"user_id": "u"}}
    options = {"clamp": {"thinking.budget_tokens": {"most": 1024}}, "remove": ["metadata", "store"]}
    made = await out("model_guard", options, document)
    assert made.document == {**ASK, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert made.raw == b""


@pytest.mark.parametrize("options", [{"allow": ["gpt-*"]}, {"deny": ["CLAUDE-*"]}])
async def test_model_guard_blocks(options: dict[str, Any]):
    with pytest.raises(Refused, match="may not be asked here"):
        await out("model_guard", options, ASK)


@pytest.mark.parametrize("value", ["9000", True, [9000]])
async def test_model_guard_holds_only_numbers_within_bounds(value: Any):
    with pytest.raises(Refused, match="The parameter max_tokens is no number here"):
        await out("model_guard", {"clamp": {"max_tokens": {"most": 1}}}, {**ASK, "max_tokens": value})
    absent = {**ASK, "max_tokens": None}
    assert (await out("model_guard", {"clamp": {"max_tokens": {"most": 1}}}, absent)).document == absent


def test_model_guard_bounds_in_order():
    config = RuleConfig.model_validate(
        {"name": "g", "use": "model_guard", "with": {"clamp": {"a": {"least": 2, "most": 1}}}}
    )
    with pytest.raises(ConfigError, match="'least' is larger than 'most'"):
        load_rules([config])


SEVEN = {"type": "text", "text": "seven.."}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 500}}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bytes": 400}, "bytes, and no more than 400 are allowed"),
        ({"characters": 10}, "has 12 characters"),
        ({"text_characters": 6}, "has 7 text characters"),
        ({"messages": 1}, "has 2 messages"),
        ({"tools": 0}, "has 1 tools"),
        ({"media": 1}, "has 2 media"),
        ({"media_bytes": 499}, "has 500 media bytes"),
    ],
)
async def test_context_guard(options: dict[str, Any], sentence: str):
    document = {
        "model": "m", "max_tokens": 1, "tools": [{"name": "T", "input_schema": {}}],
        "messages": [
            {"role": "user", "content": [PICTURE, {"type": "text", "text": "hello"}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [PICTURE, SEVEN]}]},
        ],
    }  # fmt: skip
    with pytest.raises(Refused, match=sentence):
        await out("context_guard", options, document)
    (name, bound) = next(iter(options.items()))
    await out("context_guard", {name: bound * 10 + 10}, document)


async def test_context_guard_counts_items_and_files_of_other_formats():
    items = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}] * 3
    with pytest.raises(Refused, match="has 3 media"):
        await out("context_guard", {"media": 2}, {"model": "m", "input": items}, "openai-responses")
    with pytest.raises(Refused, match="has 3 messages"):
        await out("context_guard", {"messages": 2}, {"model": "m", "input": items}, "openai-responses")


NOTE = "Be kind."
HI = {"role": "user", "content": "hi"}
DO, BE = {"role": "developer", "content": "Do."}, {"role": "developer", "content": NOTE}
SYSTEMS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("anthropic", {}, {"system": NOTE}, {"system": NOTE}),
    ("anthropic", {"system": "Do."}, {"system": f"Do.\n\n{NOTE}"}, {"system": f"{NOTE}\n\nDo."}),
    (
        "anthropic",
        {"system": [{"type": "text", "text": "Do."}]},
        {"system": [{"type": "text", "text": "Do."}, {"type": "text", "text": NOTE}]},
        {"system": [{"type": "text", "text": NOTE}, {"type": "text", "text": "Do."}]},
    ),
    ("openai-responses", {"input": "hi"}, {"instructions": NOTE}, {"instructions": NOTE}),
    (
        "openai-responses",
        {"input": "hi", "instructions": "Do."},
        {"instructions": f"Do.\n\n{NOTE}"},
        {"instructions": f"{NOTE}\n\nDo."},
    ),
    (
        "openai-chat",
        {"messages": [HI]},
        {"messages": [{"role": "system", "content": NOTE}, HI]},
        {"messages": [{"role": "system", "content": NOTE}, HI]},
    ),
    (
        "openai-chat",
        {"messages": [DO, HI]},
        {"messages": [DO, BE, HI]},
        {"messages": [BE, DO, HI]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("format", "document", "end", "start"), SYSTEMS)
async def test_system_note(format: str, document: dict[str, Any], end: dict[str, Any], start: dict[str, Any]):
    full = {"model": "m", "max_tokens": 1, **({"messages": []} if format == "anthropic" else {}), **document}
    for place, changed in (("end", end), ("start", start)):
        made = await out("system_note", {"note": NOTE, "place": place}, full, format)
        assert made.document == {**full, **changed}
        assert (
            await out("system_note", {"note": NOTE, "place": place}, dict(made.document), format)
        ).document == made.document
