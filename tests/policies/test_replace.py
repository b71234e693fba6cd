"""`replace`: requests, text and arguments, by literals and patterns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import BlockEnd, MessageEnd, TextDelta, ToolCall
from lockgate.policies.commands import Unreadable
from lockgate.policies.registry import load_rules
from lockgate.policies.replace import Replace
from lockgate.wire.anthropic import FORMAT
from tests.policies.chains import exchange_of, passed, pipeline_of

X = exchange_of()


def config(options: dict[str, Any]) -> RuleConfig:
    return RuleConfig.model_validate({"name": "r", "use": "replace", "with": options})


def replace_with(**options: Any) -> Replace:
    rule = load_rules([config(options)]).rules[0]
    policy = rule.policy(rule.options, rule.shared)
    assert isinstance(policy, Replace)
    return policy


SECRET = {"secret": "hunter2", "instead": "***"}
MAIL = {
    "replacements": [
        {"find": "ann@example.com", "instead": "ANN"},
        {"pattern": r"(\w+)@(\w+)\.com", "instead": r"\2/\1 \\ \0", "window_chars": 40},
        {"find": "Token", "instead": "t", "ignore_case": True},
    ]
}
CASES: list[tuple[dict[str, Any], str, str]] = [
    (SECRET, "a hunter2 hunter2hunter", "a *** ***hunter"),
    (SECRET, "Hunter2", "Hunter2"),
    (SECRET, "it says \"hunter2\"\n\té 😀", 'it says "***"\n\té 😀'),
    (MAIL, "ann@example.com bob@x.com", r"ANN x/bob \ bob@x.com"),
    (MAIL, "xann@example.com", r"example/xann \ xann@example.com"),
    (MAIL, "TOKEN token", "t t"),
    ({"replacements": [{"pattern": r"^\s+|\s+$"}]}, "  a b  ", "a b"),
]  # fmt: skip


async def streamed(options: dict[str, Any], pieces: Sequence[str]) -> str:
    rules = load_rules([config(options)]).rules
    events = [*(TextDelta(block=0, text=piece) for piece in pieces), BlockEnd(block=0), MessageEnd(stop_reason="x")]
    out = await passed(pipeline_of(*rules), events)
    return "".join(event.text for event in out if isinstance(event, TextDelta))


@pytest.mark.parametrize(("options", "text", "expected"), CASES)
async def test_text_streamed_and_whole(options: dict[str, Any], text: str, expected: str):
    assert await streamed(options, [text]) == expected
    assert await streamed(options, list(text)) == expected


@pytest.mark.parametrize(("options", "text", "expected"), CASES)
async def test_arguments(options: dict[str, Any], text: str, expected: str):
    arguments = json.dumps({"hunter2": [text, {"deep": text, "n": 1.50}], "b": "stays é"}, indent=2)
    call = ToolCall(block=3, id="c", name="Edit", arguments=arguments)
    (out,) = await replace_with(**options).on_tool_call(call, X)
    assert isinstance(out, ToolCall)
    assert (out.id, out.name, out.block) == ("c", "Edit", 3)
    assert json.loads(out.arguments) == {"hunter2": [expected, {"deep": expected, "n": 1.5}], "b": "stays é"}
    assert '"n": 1.5\n' in out.arguments
    assert '"b": "stays \\u00e9"' in out.arguments


@pytest.mark.parametrize(("options", "text", "expected"), CASES)
async def test_requests(options: dict[str, Any], text: str, expected: str):
    document = {
        "model": "m",
        "max_tokens": 5,
        "unknown": text,
        "system": text,
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
    }
    request = FORMAT.read_request(json.dumps(document).encode())
    out = await replace_with(**options).on_request(request, X)
    changed = {
        **document,
        "system": expected,
        "messages": [{"role": "user", "content": [{"type": "text", "text": expected}]}],
    }
    assert out.document == changed
    assert request.document == document
    assert (out is request) == (text == expected)


async def test_only_texts_of_these_roles():
    body = json.dumps(
        {"model": "m", "max_tokens": 5, "system": "hunter2", "messages": [{"role": "user", "content": "hunter2"}]}
    )
    out = await replace_with(**SECRET, roles=["user"]).on_request(FORMAT.read_request(body.encode()), X)
    assert out.document["system"] == "hunter2"
    assert out.document["messages"] == [{"role": "user", "content": "***"}]


async def test_only_in_these_places():
    policy = replace_with(**SECRET, where=["request"])
    text = TextDelta(block=0, text="hunter2")
    call = ToolCall(block=1, id="c", name="T", arguments='{"a": "hunter2"}')
    assert list(await policy.on_event(text, X)) == [text]
    assert list(await policy.on_event(call, X)) == [call]
    request = FORMAT.read_request(b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hunter2"}]}')
    assert await replace_with(**SECRET, where=["text"]).on_request(request, X) is request


async def test_a_custom_tool_takes_free_text():
    call = ToolCall(block=1, id="c", name="apply_patch", arguments="*** hunter2", custom=True)
    (out,) = await replace_with(**SECRET).on_tool_call(call, X)
    assert isinstance(out, ToolCall)
    assert (out.arguments, out.custom) == ("*** ***", True)


async def test_what_is_untouched_is_the_same_object():
    call = ToolCall(block=1, id="c", name="T", arguments=' {"a" : "b"} ')
    (out,) = await replace_with(**SECRET).on_tool_call(call, X)
    assert out is call


@pytest.mark.parametrize("arguments", ['{"a": "hunter2"', '{"a": "hunter2", "a": 1}', '["hunter2"]'])
async def test_arguments_that_cannot_be_read_fail(arguments: str):
    with pytest.raises(Unreadable, match="the arguments of the tool 'T' cannot be read"):
        await replace_with(**SECRET).on_tool_call(ToolCall(block=1, id="c", name="T", arguments=arguments), X)


@given(text=st.text(st.sampled_from("ab@.com AntokenéT\\")), cuts=st.lists(st.integers(0, 30)))
async def test_any_cut_of_any_text_is_like_the_whole(text: str, cuts: list[int]):
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert await streamed(MAIL, pieces) == replace_with(**MAIL).shared.replaced(text)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "rule 'r': policy 'replace': say what to replace: 'secret' or 'replacements'"),
        ({"secret": ""}, "option 'secret': it needs 1 or more characters"),
        ({"secert": "x"}, "unknown option 'secert' (did you mean 'secret'?)"),
        ({"replacements": [{"instead": "x"}]}, "option 'replacements.0': a replacement has either 'find' or 'pattern'"),
        ({"replacements": [{"find": "a", "pattern": "b"}]}, "has either 'find' or 'pattern'"),
        (
            {"replacements": [{"pattern": "a(b"}]},
            "rule 'r': policy 'replace': option 'replacements.0.pattern': the pattern 'a(b' is not RE2: "
            "missing ): a(b, at character 4",
        ),
        ({"replacements": [{"pattern": "(a)", "instead": r"\2"}]}, r"\2, but the pattern has 1 groups"),
        ({"replacements": [{"pattern": "a", "instead": "x\\"}]}, "'instead' refers to"),
        ({"secret": "x", "where": ["thinking"]}, "option 'where.0'"),
    ],
)  # fmt: skip
def test_wrong_options(options: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError) as caught:
        load_rules([config(options)])
    assert sentence in str(caught.value)
