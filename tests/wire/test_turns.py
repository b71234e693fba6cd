"""What a turn means, whatever shape it comes in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.wire.prompts import NOTHING, opening_of, texts_in, words_in
from lockgate.wire.turns import COMPACTION, Call, is_open, messages_of, replied, turns_in

FORMATS = ("anthropic", "openai-chat", "openai-responses")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["role", "content", "type", "text", "tool_calls", "function", "arguments", "input", "id", "call_id"]
)
VALUES = st.sampled_from(["assistant", "user", "text", "tool_use", "function_call", "message", "compaction", "{}"])
MESSAGES = st.lists(st.dictionaries(KEYS, VALUES | JSON, max_size=5) | JSON, max_size=5)


@pytest.mark.parametrize("format", FORMATS)
@settings(deadline=None)
@given(messages=MESSAGES)
def test_no_shape_is_too_odd(format: str, messages: list[Any]):
    turns = turns_in(format, messages)
    is_open(format, messages, turns)
    words_in(messages)
    list(texts_in(messages))
    for document in ({"content": messages}, {"choices": messages}, {"output": messages}, {"messages": messages}):
        replied(format, document)
        messages_of(format, document)
    assert all(0 <= turn.start < turn.end <= len(messages) for turn in turns)


def chat(**fields: Any) -> Any:
    return {"role": "assistant", **fields}


def function(arguments: Any, id: str = "c", name: str = "f") -> Any:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            chat(content="a b"),
            chat(content=[{"type": "text", "text": "a "}, {"type": "text", "text": "b"}], refusal=None),
        ),
        (chat(content=None, refusal="no"), chat(content=[{"type": "refusal", "refusal": "no"}], audio=None)),
        (chat(tool_calls=[function('{"a": 1, "b": null}')]), chat(content="", tool_calls=[function('{"a":1.0}')])),
        (chat(tool_calls=[function("")]), chat(tool_calls=[function("{}") | {"index": 0}])),
        (
            chat(tool_calls=[function('{"n": 12345678901234567890}')]),
            chat(tool_calls=[function('{"n": 12345678901234567000}')]),
        ),
        (chat(content="a", reasoning_content="hm"), chat(content="a", parsed=None, annotations=[])),
    ],
)
def test_the_same(one: Any, other: Any):
    assert [turn.meaning for turn in turns_in("openai-chat", [one])] == [
        turn.meaning for turn in turns_in("openai-chat", [other])
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (chat(content="ab"), chat(content="abc")),
        (chat(tool_calls=[function('{"a": 1}')]), chat(tool_calls=[function('{"a": 2}')])),
        (chat(tool_calls=[function("{}", id="c")]), chat(tool_calls=[function("{}", id="d")])),
        (chat(tool_calls=[function("{}", name="f")]), chat(tool_calls=[function("{}", name="g")])),
        (chat(tool_calls=[function("{}")]), chat(tool_calls=[function("{}"), function("{}")])),
        (chat(content="a"), chat(content="a", tool_calls=[function("{}")])),
        (chat(tool_calls=[function('{"a": true}')]), chat(tool_calls=[function('{"a": 1}')])),
    ],
)
def test_not_the_same(one: Any, other: Any):
    [first], [second] = turns_in("openai-chat", [one]), turns_in("openai-chat", [other])
    assert first.meaning != second.meaning


def test_items_in_a_row_are_one_turn_and_a_compaction_is_its_own():
    def said(text: str) -> Any:
        return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}

    items: list[Any] = [
        {"role": "user", "content": "hi"}, {"type": "reasoning", "summary": []}, said("One."),
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
        {"type": "compaction", "encrypted_content": "x"}, said("Two."), {"type": "compaction_trigger"},
    ]  # fmt: skip
    turns = turns_in("openai-responses", items)
    assert [(turn.text, turn.start, turn.end) for turn in turns] == [("One.", 2, 4), ("", 5, 6), ("Two.", 6, 7)]
    assert turns[1].calls == (Call("", COMPACTION, "x"),)


@pytest.mark.parametrize("text", ["", " \n", "(no content)", "No response requested."])
def test_what_says_nothing_is_no_turn(text: str):
    assert turns_in("anthropic", [{"role": "assistant", "content": text}]) == []


def test_words_leave_out_notes_and_what_tools_gave():
    def words(*messages: Any) -> bytes:
        return words_in(messages)[-1]

    def user(*content: Any) -> Any:
        return {"role": "user", "content": list(content)}

    def text(said: str) -> Any:
        return {"type": "text", "text": said}

    note = text("<system-reminder>\na\n</system-reminder>")
    given = {"type": "tool_result", "tool_use_id": "t", "content": "long"}
    assert words(user(note, text("go "))) == words({"role": "user", "content": "go"}) == words(user(text("go"), note))
    assert (
        words(user(given)) == words(user(given | {"content": "[cleared]"})) != words(user(given | {"tool_use_id": "u"}))
    )
    assert words_in([user(note)]) == [] != [NOTHING]
    assert opening_of([user(note), user(note | text("<system-reminder>x</system-reminder> Fix it"))]) == "Fix it"
    picture = {"type": "image", "source": {"type": "base64", "data": "A" * 9000 + "B"}}
    other = {"type": "image", "source": {"type": "base64", "data": "A" * 9000 + "C"}}
    assert words(user(picture)) != words(user(other))


def test_many_notes_that_never_end_take_no_time():
    assert opening_of([{"role": "user", "content": "<system-reminder>" * 100_000}]).startswith("<system-reminder>")
