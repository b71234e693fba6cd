"""Bodies taken apart and put together again."""

from __future__ import annotations

import base64
import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.bench.sessions import session
from lockgate.wire.conversation import Conversation, as_sent, join, node_hash, part_counts, split, split_reply
from lockgate.wire.document import dumps

FORMATS = ("anthropic", "openai-chat", "openai-responses")
CACHE = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
IMAGE = bytes(range(256)) * 8
BASE64 = base64.b64encode(IMAGE).decode()


def taken(format: str, document: Any) -> Conversation:
    conversation = split(format, dumps(document))
    assert conversation is not None
    return conversation


def hashes(format: str, document: Any) -> list[bytes]:
    return [part.hash for part in taken(format, document).parts]


def anthropic(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "claude-x", "max_tokens": 9, "messages": list(messages), **more}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


CHAT = {
    "model": "gpt",
    "messages": [{"role": "system", "content": "Be brief."}, user("Hi."), user([text("Look."), text("Again.")])],
    "tools": [{"type": "function", "function": {"name": "shell"}}],
    "functions": [{"name": "old"}],
    "n": 2**70,
}
RESPONSES = {
    "model": "gpt",
    "instructions": "You are Codex.",
    "tools": [{"type": "function", "name": "exec_command"}],
    "input": [
        {"type": "additional_tools", "tools": [{"type": "namespace", "tools": [{"name": "exec"}]}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List."}]},
        {"type": "reasoning", "id": "rs", "encrypted_content": "abc"},
        {"type": "function_call", "call_id": "c", "name": "exec_command", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "marker"},
    ],
    "store": False,
}
DOCUMENTS: list[tuple[str, Any]] = [
    ("anthropic", anthropic(user("Hi."))),
    ("anthropic", anthropic(user("Hi."), system="Be brief.", tools=[{"name": "Bash", "input_schema": {}}])),
    ("anthropic", anthropic(user([text("Hi.", **CACHE)]), system=[text("a"), {**CACHE, **text("b")}], tools=[])),
    ("anthropic", anthropic()),
    ("anthropic", anthropic(user({"a": 1}), "no message", None, 7, [], user([text(1), "x"]), system=[None], tools={})),
    ("anthropic", anthropic(user("\x00 \ud800 \udfff é"), user([text("\ud800", **CACHE)]), huge=2**80, small=1.0)),
    ("anthropic", anthropic(user([{"type": "tool_result", "content": [text("x", **CACHE)], **CACHE}]))),
    ("anthropic", anthropic({**CACHE, **user("with a mark beside a text")})),
    ("anthropic", anthropic(user([{**text("x"), "cache_control": [["deep"]]}, {"cache_control": None}]))),
    ("anthropic", anthropic(user("x" * 3), system={"not": "a list"}, metadata={"user_id": "u"})),
    ("openai-chat", CHAT),
    ("openai-responses", RESPONSES),
    ("openai-responses", {"input": "List.", "previous_response_id": "resp_1"}),
]


@pytest.mark.parametrize(("format", "document"), DOCUMENTS)
def test_what_was_taken_apart_is_put_together_as_it_was(format: str, document: Any) -> None:
    body = dumps(document)
    conversation = split(format, body)
    assert conversation is not None
    assert as_sent(join(conversation), conversation.digest) == (body, True)


def test_nan_is_kept() -> None:
    body = b'{"messages":[{"role":"user","content":[NaN,-Infinity]}],"temperature":NaN}'
    conversation = split("anthropic", body)
    assert conversation is not None
    assert as_sent(join(conversation), conversation.digest) == (body, True)
    assert math.isnan(join(conversation)["temperature"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'{"messages":"none"}',
        b'{"model":"x"}',
        b'{"messages":[],"messages":[{}]}',
        b'{"messages":[{"a":1,"a":2}]}',
        b'{"messages":[1e999]}',
        b'\xff{"messages":[]}',
        b'{"messages":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_no_conversation_is_left_whole(format: str, body: bytes) -> None:
    assert split(format, body) is None
    assert split_reply(format, body) is None


def test_an_unknown_format_is_left_whole() -> None:
    assert split("gemini", b'{"messages":[]}') is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MARKED = st.dictionaries(
    st.sampled_from(["type", "text", "content", "source", "cache_control", "role", "input"]),
    st.sampled_from(["text", "user", "x-anthropic-billing-header: a\nb", {"type": "ephemeral"}]) | JSON,
    max_size=5,
)
ELEMENT = st.recursive(
    MARKED | JSON,
    lambda inner: st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]), "content": inner | st.lists(inner, max_size=2)}
    ),
    max_leaves=4,
)
LIST = st.lists(ELEMENT, max_size=5)
KEYS = ("system", "tools", "functions", "instructions", "messages", "input", "output", "content", "choices", "model")
DOCUMENT = st.lists(st.tuples(st.sampled_from(KEYS), LIST | st.text() | JSON), max_size=8).map(dict)


@settings(max_examples=400, deadline=None)
@given(format=st.sampled_from(FORMATS), document=DOCUMENT, messages=LIST, spaced=st.booleans())
def test_any_document_comes_back_equal(format: str, document: Any, messages: Any, spaced: bool) -> None:
    key = "input" if format == "openai-responses" else "messages"
    body = json.dumps({**document, key: messages}, separators=None if spaced else (",", ":")).encode()
    for take in (split, split_reply):
        conversation = take(format, body)
        assert conversation is not None or take is split_reply
        if conversation is not None:
            again, _ = as_sent(join(conversation), conversation.digest)
            assert json.loads(again) == json.loads(body)
            assert list(json.loads(again)) == list(json.loads(body))


@pytest.mark.parametrize(
    ("spelled", "same"),
    [
        (dumps, True),
        (lambda document: json.dumps(document).encode(), True),
        (lambda document: json.dumps(document, ensure_ascii=False).encode(), True),
        (lambda document: json.dumps(document, separators=(",", ":")).encode(), True),
        (lambda document: json.dumps(document, indent=1).encode(), False),
        (lambda document: dumps(document).replace(b"0.5", b"5e-1"), False),
    ],
)
def test_the_bytes_come_back_where_a_client_writes_json_as_clients_do(spelled: Any, same: bool) -> None:
    document = anthropic(user("Grüße 👩‍👩‍👧"), temperature=0.5)
    conversation = split("anthropic", body := spelled(document))
    assert conversation is not None
    again, is_same = as_sent(join(conversation), conversation.digest)
    assert (is_same, json.loads(again)) == (same, document)
    assert (again == body) == same


def test_parts_are_the_system_the_tools_and_each_message() -> None:
    conversation = taken("anthropic", anthropic(user("Hi."), system="Brief.", tools=[{"name": "a"}, {"name": "b"}]))
    assert [(part.kind, part.role) for part in conversation.preamble] == [
        ("system", "system"),
        ("tools", "definition"),
        ("tools", "definition"),
    ]
    assert [(part.kind, part.role) for part in conversation.messages] == [("message", "user")]
    assert part_counts(conversation.form) == (3, 1)
    assert json.loads(conversation.envelope) == anthropic(user("Hi."), system=None, tools=None) | {"messages": None}


def test_the_items_of_responses_have_the_roles_of_those_who_made_them() -> None:
    conversation = taken("openai-responses", RESPONSES)
    assert [part.role for part in conversation.messages] == ["", "user", "assistant", "assistant", "tool"]


def test_moving_breakpoints_do_not_split_messages() -> None:
    said = [user("One."), {"role": "assistant", "content": [text("Two.")]}, user([text("Three."), text("Four.")])]
    plain = anthropic(*said, system=[text("s")], tools=[{"name": "a"}])
    marked = copy.deepcopy(plain)
    marked["messages"][0]["content"] = [text("One.", **CACHE)]
    marked["messages"][2]["content"][1] |= CACHE
    marked["system"][0] |= CACHE
    marked["tools"][0] |= CACHE
    assert hashes("anthropic", plain) == hashes("anthropic", marked)
    assert join(taken("anthropic", marked)) == marked


def test_the_models_own_arguments_and_a_tools_schema_are_never_taken_for_markers() -> None:
    call = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"cache_control": {"type": "ephemeral"}}}
    other = {**call, "input": {}}
    schema = {"properties": {"cache_control": {"type": "string"}}}
    first = anthropic({"role": "assistant", "content": [call]}, tools=[{"name": "a", "input_schema": schema}])
    second = anthropic({"role": "assistant", "content": [other]}, tools=[{"name": "a", "input_schema": {}}])
    assert not set(hashes("anthropic", first)) & set(hashes("anthropic", second))


def test_claude_codes_billing_line_does_not_split_the_system_prompt() -> None:
    line = "x-anthropic-billing-header: cc_version=2.1.330; cch={}; cc_prev_req=req_{}\n"
    bodies = [anthropic(system=[text(line.format(n, n) + "You are Claude Code."), text("b")]) for n in (1, 2)]
    assert hashes("anthropic", bodies[0]) == hashes("anthropic", bodies[1])
    assert [join(taken("anthropic", body)) for body in bodies] == bodies
    other = anthropic(system=[text(line + "You are another."), text("b")])
    assert hashes("anthropic", other)[0] != hashes("anthropic", bodies[0])[0]
    assert hashes("anthropic", other)[1] == hashes("anthropic", bodies[0])[1]


@pytest.mark.parametrize("format", FORMATS)
def test_the_order_of_keys_makes_no_other_message(format: str) -> None:
    key = "input" if format == "openai-responses" else "messages"
    one, other = {"role": "user", "content": "x"}, {"content": "x", "role": "user"}
    assert hashes(format, {key: [one]}) == hashes(format, {key: [other]})


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, None), ("1", 1), ({}, []), ("a", "a\x00")])
def test_what_differs_at_all_is_another_message(one: Any, other: Any) -> None:
    first, second = anthropic(user([one])), anthropic(user([other]))
    assert hashes("anthropic", first) != hashes("anthropic", second)


def test_the_same_document_is_another_part_as_a_tool() -> None:
    first, second = hashes("anthropic", anthropic({"name": "a"}, tools=[{"name": "a"}]))
    assert first != second


def test_a_text_for_the_input_is_the_message_that_it_stands_for() -> None:
    item = {"role": "user", "content": "List."}
    assert hashes("openai-responses", {"input": "List."}) == hashes("openai-responses", {"input": [item]})


FILES: list[tuple[str, Any]] = [
    ("anthropic", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}}),
    ("openai-chat", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}}),
    ("openai-chat", {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}),
    ("openai-chat", {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{BASE64}"}}),
    ("openai-responses", {"type": "input_image", "image_url": f"data:image/png;base64,{BASE64}"}),
    ("openai-responses", {"type": "image_generation_call", "id": "ig", "result": BASE64}),
]


@pytest.mark.parametrize(("format", "block"), FILES)
def test_a_file_is_taken_out_once(format: str, block: Any) -> None:
    key = "input" if format == "openai-responses" else "messages"
    document = {key: [user([block, text("What is it?")]), user([block])]}
    conversation = taken(format, document)
    assert list(conversation.blobs.values()) == [IMAGE]
    assert max(len(part.content) for part in conversation.parts) < 400
    assert join(conversation) == document


@pytest.mark.parametrize(
    "data",
    [
        base64.b64encode(IMAGE[:700]).decode(),  # short
        BASE64 + "\n",
        BASE64[:-2] + "9=",  # bits to spare that are not zero
        BASE64.rstrip("="),
        "not base64 at all, " * 100,
        "é" * 2000,
    ],
)
def test_what_is_short_or_would_not_come_back_stays_in_its_message(data: str) -> None:
    document = anthropic(user([{"type": "image", "source": {"type": "base64", "data": data}}]))
    conversation = taken("anthropic", document)
    assert conversation.blobs == {}
    assert join(conversation) == document


def test_a_text_that_looks_like_a_files_place_is_none() -> None:
    block = FILES[0][1]
    one = taken("anthropic", anthropic(user([block])))
    text_instead = json.loads(one.messages[0].content)
    assert hashes("anthropic", anthropic(text_instead)) != [one.messages[0].hash]


def test_nodes_name_a_message_with_all_before_it() -> None:
    a, b = taken("anthropic", anthropic(user("a"), user("b"))).messages
    assert node_hash(node_hash(None, a.hash), b.hash) != node_hash(node_hash(None, b.hash), a.hash)
    assert node_hash(node_hash(None, a.hash), b.hash) != node_hash(None, b.hash)
    again = taken("anthropic", anthropic(user("a"), user("b"), user("c"))).messages
    assert node_hash(node_hash(None, again[0].hash), again[1].hash) == node_hash(node_hash(None, a.hash), b.hash)


REPLIES: list[tuple[str, Any, Any]] = [
    (
        "anthropic",
        {"id": "msg_1", "type": "message", "role": "assistant", "content": [text("Hi.")], "usage": {"input_tokens": 1}},
        anthropic({"role": "assistant", "content": [text("Hi.", **CACHE)]}),
    ),
    (
        "openai-chat",
        {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}}], "usage": None},
        {"messages": [{"role": "assistant", "content": "Hi."}]},
    ),
    (
        "openai-responses",
        {"id": "resp_1", "tools": [{"name": "a"}], "output": RESPONSES["input"][2:4], "status": "completed"},
        {"input": RESPONSES["input"][2:4]},
    ),
]


@pytest.mark.parametrize(("format", "reply", "request_"), REPLIES)
def test_a_reply_is_the_message_that_clients_send_back(format: str, reply: Any, request_: Any) -> None:
    conversation = split_reply(format, dumps(reply))
    assert conversation is not None
    assert as_sent(join(conversation), conversation.digest) == (dumps(reply), True)
    assert [part.hash for part in conversation.messages] == hashes(format, request_)
    assert conversation.id == (reply["id"] if format == "openai-responses" else "")  # which alone names replies


@pytest.mark.parametrize(
    ("format", "reply"),
    [
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error"}}),
        ("openai-chat", {"error": {"message": "no"}}),
        ("openai-chat", {"choices": [{"message": {}}, {"message": {}}]}),
        ("openai-chat", {"choices": []}),
        ("openai-responses", {"error": {"message": "no"}}),
    ],
)
def test_an_error_and_several_choices_are_left_whole(format: str, reply: Any) -> None:
    assert split_reply(format, dumps(reply)) is None


def test_a_name_that_no_provider_gives_is_not_taken() -> None:
    conversation = taken("openai-responses", {"input": [], "previous_response_id": "x" * 5000})
    assert conversation.follows == ""
    assert taken("openai-responses", DOCUMENTS[-1][1]).follows == "resp_1"


def test_a_long_session_is_its_messages_and_what_is_beside_them_stays_small() -> None:
    known: set[bytes] = set()
    for turn, (body, reply) in enumerate(session(120)):
        asked, answered = split("anthropic", body), split_reply("anthropic", reply)
        assert asked is not None
        assert answered is not None
        new = {part.hash for part in asked.parts} - known
        assert len(new) == (29 if turn == 0 else 1)
        assert len(asked.envelope) + len(asked.form) < 800
        assert as_sent(join(asked), asked.digest) == (body, True)
        known |= new | {part.hash for part in answered.parts}
