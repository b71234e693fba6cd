"""The Responses codec: every case runs in one piece, cut at every byte, and as a whole reply, with the same result."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import WireError
from lockgate.events import (
    BlockEnd,
    Event,
    MessageEnd,
    MessageStart,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Usage,
)
from lockgate.wire.openai_responses import FORMAT
from tests.wire.responses import (
    LS,
    SEALED,
    STREAM,
    Change,
    Doc,
    add_at_end,
    block,
    call,
    check,
    custom,
    documents,
    edit,
    encode,
    end,
    events_of,
    feed,
    item_frames,
    judged,
    message,
    only,
    opening,
    random_change,
    random_item,
    reasoning,
    refusal,
    reply_frames,
    response,
    search,
    shell,
    stream,
    summary,
    unnamed,
    warn,
    whole,
)

# -- the table


CASES: dict[str, tuple[list[Doc], Change, list[Any]]] = {
    "text edited": ([message("the secret word")], edit("secret", "[gone]"), ["the [gone] word"]),
    "text dropped": ([message("the secret word")], edit("secret ", ""), ["the word"]),
    "all text dropped": ([message("x", 1), message("y", 2)], edit("x", ""), ["", "y"]),
    "refusal edited": ([refusal("I can not")], edit("can", "could"), ["I could not"]),
    "thinking edited": ([reasoning("a b", "b c"), message("d")], edit("b", "B"), [["a B", "B c"], "d"]),
    "two parts": (
        [message("", content=[message("one two")["content"][0], message("two three")["content"][0]])],
        edit("two", "2"),
        ["one 22 three"],
    ),
    "call to notice": ([reasoning("r"), call("rm", "{}")], block("rm"), [["r"], "no: rm"]),
    "text then call to notice": ([message("hi"), call("rm", LS)], block("rm"), ["hi", "no: rm"]),
    "call dropped": ([message("hi"), call("rm", "{}")], block("rm", notice=""), ["hi"]),
    "all dropped": ([call("rm", "{}")], block("rm", notice=""), []),
    "first of two": ([call("rm", "{}"), call("ls", LS, 2)], block("rm"), ["no: rm", ("ls", LS)]),
    "second of two": ([call("ls", LS), call("rm", "{}", 2)], block("rm"), ["no: rm", ("ls", LS)]),
    "second of two dropped": ([call("ls", LS), call("rm", "{}", 2)], block("rm", notice=""), [("ls", LS)]),
    "both of two": ([call("a", "{}"), call("b", "{}", 2)], block("a", "b"), ["no: a", "no: b"]),
    "middle of three": (
        [call("a", "{}"), custom("exec", "go", 2), call("c", LS, 3)],
        block("exec"),
        ["no: exec", ("a", "{}"), ("c", LS)],
    ),
    "between provider's tools": (
        [search(), call("rm", "{}"), {**search(), "id": "ws_2"}, call("ls", LS, 2)],
        block("rm", notice=""),
        [("web_search_call", search()["action"])] * 2 + [("ls", LS)],
    ),
    "call changed": ([message("hi"), call("sh", LS)], edit("ls /", "false"), ["hi", ("sh", '{"cmd": "false"}')]),
    "custom call changed": ([custom("exec", "run ls")], edit("run", "stop"), [("exec", "stop ls")]),
    "shell call changed": (
        [shell("touch", "f")],
        edit("touch", "false"),
        [("local_shell_call", {"type": "exec", "command": ["false", "f"], "env": {}})],
    ),
    "shell call to notice": ([shell("touch", "f")], block("local_shell"), ["no: local_shell"]),
    "text added at the end": ([message("hi")], add_at_end("by", "e"), ["hi", "bye"]),
    "text added before calls": ([message("hi"), call("ls", LS)], add_at_end("bye"), ["hi", "bye", ("ls", LS)]),
    "warned": ([call("ls", LS), call("b", "{}", 2)], warn, ["carefulcareful", ("ls", LS), ("b", "{}")]),
    "text after a call": ([call("rm", "{}"), message("done x")], block("rm"), ["no: rm", "done x"]),
    "empty reply": ([], add_at_end("bye"), ["bye"]),
}
TABLE = pytest.mark.parametrize(("items", "change", "expected"), CASES.values(), ids=CASES.keys())


@TABLE
def test_what_a_policy_makes_of_a_stream_is_legal(items: list[Doc], change: Change, expected: list[Any]) -> None:
    sent = stream(encode(reply_frames(items)), change)
    assert summary(check(sent)) == expected
    assert summary([item.to_dict() for item in judged(sent).output]) == expected


@TABLE
def test_a_whole_reply_gives_the_same_result(items: list[Doc], change: Change, expected: list[Any]) -> None:
    sent = json.loads(whole(json.dumps(response(items)).encode(), change))
    assert summary(sent["output"]) == expected
    assert {**sent, "output": []} == response()


@TABLE
def test_a_stream_cut_at_every_byte_gives_the_same_bytes(items: list[Doc], change: Change, expected: list[Any]) -> None:
    data = encode(reply_frames(items))
    assert unnamed(stream(data, change, size=1)) == unnamed(stream(data, change))
    assert summary(check(stream(data, change, size=7))) == expected


@TABLE
@pytest.mark.parametrize("hold", [True, False])
def test_what_nobody_changes_passes_byte_for_byte(
    items: list[Doc], change: Change, expected: list[Any], hold: bool
) -> None:
    data, body = encode(reply_frames(items)), json.dumps(response(items), indent=1).encode()
    assert stream(data, hold=hold) == data
    assert stream(data, hold=hold, size=1) == data
    assert whole(body) == body


@TABLE
def test_a_server_that_tells_only_the_end_is_seen_and_changed(
    items: list[Doc], change: Change, expected: list[Any]
) -> None:
    data = encode([*opening(), end(items)])
    sent = stream(data, change)
    assert stream(data) == data
    assert summary(documents(sent)[-1]["response"]["output"]) == expected
    assert summary([item.to_dict() for item in judged(sent).output]) == expected


@TABLE
def test_a_server_that_tells_only_whole_items_is_seen_and_changed(
    items: list[Doc], change: Change, expected: list[Any]
) -> None:
    done = [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(items)]
    data = encode([*opening(), *done, end(items)])
    sent = stream(data, change)
    assert stream(data) == data
    told = {one["output_index"]: one["item"] for one in only(sent, "response.output_item.done")}
    assert summary([told[index] for index in sorted(told)]) == expected
    assert summary(documents(sent)[-1]["response"]["output"]) == expected


@given(st.lists(st.integers(1, 60), min_size=1))
def test_cuts_anywhere_do_not_matter(sizes: list[int]) -> None:
    data = encode(reply_frames([message("héllo 👩‍👩‍👧 wörld"), call("rm", "{}"), call("ls", LS, 2)]))
    ends = list(itertools.takewhile(lambda at: at < len(data), itertools.accumulate(itertools.cycle(sizes))))
    chunks = [data[start:stop] for start, stop in itertools.pairwise([0, *ends, len(data)])]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    assert unnamed(feed(reply, [*chunks, b""], block("rm"))) == unnamed(stream(data, block("rm")))


@given(
    st.lists(st.sampled_from(["message", "reasoning", "search", "custom", "call"]), max_size=6),
    st.lists(st.sampled_from(["pass", "drop", "edit", "note"]), min_size=1, max_size=7),
    st.integers(0, 3),
)
def test_whatever_a_policy_does_the_stream_stays_legal(kinds: list[str], acts: list[str], size: int) -> None:
    items = [random_item(n, kind) for n, kind in enumerate(kinds)]
    check(stream(encode(reply_frames(items)), random_change(acts), size=size * 50))


@given(
    st.lists(st.sampled_from(["message", "search", "custom", "call"]), max_size=6),
    st.lists(st.sampled_from(["pass", "drop", "edit", "note"]), min_size=6, max_size=6),
)
def test_whatever_happens_to_calls_is_the_same_streamed_and_whole(kinds: list[str], acts: list[str]) -> None:
    items = [random_item(n, kind) for n, kind in enumerate(kinds)]

    def change() -> Change:
        for_calls = random_change(acts)
        return lambda event: for_calls(event) if isinstance(event, ToolCall) else (event,)

    sent = summary(check(stream(encode(reply_frames(items)), change())))
    body = json.loads(whole(json.dumps(response(items)).encode(), change()))
    assert sent == summary(body["output"])


# -- events


def test_events_of_a_reply() -> None:
    data = encode(reply_frames([reasoning("why"), message("a b"), call("ls", LS), custom("exec", "go()", 2)]))
    assert events_of(data) == [
        MessageStart(id="resp_real", model="gpt-5.5-2026"),
        ThinkingDelta(block=0, text="why"),
        BlockEnd(block=0),
        TextDelta(block=1, text="a "),
        TextDelta(block=1, text="b"),
        BlockEnd(block=1),
        ToolCall(block=2, id="call_1", name="ls", arguments=LS),
        ToolCall(block=3, id="call_2", name="exec", arguments="go()", custom=True),
        MessageEnd(
            stop_reason="completed",
            usage=Usage(input_tokens=50, output_tokens=12, cache_read_tokens=30, cache_write_tokens=10),
        ),
    ]


CLIENT_RUN: list[tuple[Doc, str, str]] = [
    (shell("ls"), "local_shell", '{"type":"exec","command":["ls"],"env":{}}'),
    (
        {"id": "sh_1", "type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        "shell",
        '{"commands":["ls"]}',
    ),
    (
        {"id": "ap_1", "type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "f"}},
        "apply_patch",
        '{"type":"delete_file","path":"f"}',
    ),
    (
        {"id": "cu_1", "type": "computer_call", "call_id": "c", "actions": [{"type": "wait"}]},
        "computer",
        '[{"type":"wait"}]',
    ),
    (
        {"id": "ts_1", "type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"q": 1}},
        "tool_search",
        '{"q":1}',
    ),
]
PROVIDER_RUN: list[Doc] = [
    search(),
    {"id": "ts_1", "type": "tool_search_call", "execution": "server", "arguments": {"q": 1}},
    {
        "id": "sh_1",
        "type": "shell_call",
        "call_id": "c",
        "action": {"commands": ["ls"]},
        "environment": {"type": "container_reference", "container_id": "x"},
    },
    {"id": "mcp_1", "type": "mcp_call", "name": "n", "server_label": "s", "arguments": "{}"},
    {"id": "new_1", "type": "future_thing", "x": 1},
]


@pytest.mark.parametrize(("item", "name", "arguments"), CLIENT_RUN, ids=lambda one: str(one)[:30])
def test_calls_that_the_client_runs(item: Doc, name: str, arguments: str) -> None:
    calls = [event for event in events_of(encode(reply_frames([item]))) if isinstance(event, ToolCall)]
    assert [(one.name, one.arguments) for one in calls] == [(name, arguments)]


@pytest.mark.parametrize("item", PROVIDER_RUN, ids=lambda one: one["type"])
def test_calls_that_the_provider_runs_pass_at_once(item: Doc) -> None:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    data = encode([*opening(), *item_frames(0, item)])
    assert feed(reply, [data]) == data
    assert not any(isinstance(event, ToolCall) for event in events_of(encode(reply_frames([item]))))


def test_texts_stream_at_once_and_calls_are_held_from_their_first_frame_to_the_end() -> None:
    items = [message("hi"), call("ls", LS)]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    before = encode([*opening(), *item_frames(0, items[0])])
    data = encode(reply_frames(items))
    last = data.index(b"event: response.completed")
    assert feed(reply, [data[:last]]) == before
    assert (reply.holding, reply.held_bytes) == (True, last - len(before))
    assert feed(reply, [data[last:]]) == data[len(before) :]
    assert (reply.holding, reply.held_bytes, reply.changed) == (False, 0, False)


def test_without_a_hold_frames_pass_as_they_come() -> None:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=False)
    data = encode([*opening(), *item_frames(0, call("ls", LS))])
    assert feed(reply, [data]) == data
    assert not reply.holding


def test_usage_is_known_before_the_end_of_the_connection() -> None:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    feed(reply, [encode(reply_frames([message("hi")]))])
    assert reply.usage == Usage(input_tokens=50, output_tokens=12, cache_read_tokens=30, cache_write_tokens=10)  # pyright: ignore[reportAttributeAccessIssue]


# -- what an engine may ask for


def test_text_that_an_engine_held_back_comes_before_the_closing_frame() -> None:
    held: list[str] = []

    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, TextDelta):
            held.append(event.text)
            return ()
        return (TextDelta(block=event.block, text="".join(held)), event) if isinstance(event, BlockEnd) else (event,)

    sent = stream(encode(reply_frames([message("one two three")])), change)
    assert summary(check(sent)) == ["one two three"]
    assert [one["delta"] for one in only(sent, "response.output_text.delta")] == ["one two three"]


def test_text_held_back_from_one_delta_goes_out_with_the_next() -> None:
    late: list[Event] = []

    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, TextDelta) and not late:
            late.append(event)
            return ()
        return (late[0], event) if isinstance(event, TextDelta) else (event,)

    assert summary(check(stream(encode(reply_frames([message("one two")])), change))) == ["one two"]


def test_an_edit_changes_only_the_text_in_the_frames_own_document() -> None:
    sent = stream(encode(reply_frames([message("the secret")])), edit("secret", "x"))
    given, out = (documents(one) for one in (encode(reply_frames([message("the secret")])), sent))
    assert [list(one) for one in out] == [list(one) for one in given]
    assert only(sent, "response.output_text.delta")[1]["obfuscation"] == "x7Y"
    assert out[-1]["response"]["x_new"] == [1]


def test_token_probabilities_do_not_tell_what_was_edited() -> None:
    probabilities: list[Any] = [{"token": "secret", "logprob": -0.1, "top_logprobs": []}]
    item = message("secret")
    item["content"][0]["logprobs"] = probabilities
    frames: list[Any] = [
        {**one, "logprobs": probabilities} if "logprobs" in one else one for one in reply_frames([item])
    ]
    frames[3]["part"]["logprobs"] = []
    assert b"secret" not in stream(encode(frames), edit("secret", "x"))
    assert b"secret" not in whole(json.dumps(response([item], output_text="secret")).encode(), edit("secret", "x"))


def test_reasoning_keeps_its_sealed_content_and_ids_beside_changes() -> None:
    sent = stream(encode(reply_frames([reasoning("r x"), call("rm", "{}")])), block("rm"))
    assert [one["item"]["encrypted_content"] for one in only(sent, "response.output_item.done")[:1]] == [SEALED]
    assert documents(sent)[-1]["response"]["output"][0] == reasoning("r x")


def test_unchanged_calls_go_out_with_their_own_frames() -> None:
    items = [call("rm", "{}"), call("ls", LS, 2)]
    sent = stream(encode(reply_frames(items)), block("rm", notice=""))
    assert [one["delta"] for one in only(sent, "response.function_call_arguments.delta")] == ['{"cmd": ', '"ls ', '/"}']


def test_a_changed_call_comes_in_one_delta_and_keeps_its_id() -> None:
    sent = stream(encode(reply_frames([call("sh", LS)])), edit("ls /", "false"))
    assert [one["delta"] for one in only(sent, "response.function_call_arguments.delta")] == ['{"cmd": "false"}']
    assert {one["item"]["call_id"] for one in only(sent, "response.output_item.done")} == {"call_1"}


def test_malformed_arguments_pass_unchanged_where_they_are_allowed() -> None:
    items = [call("ls", '{"cmd": '), call("rm", "{}", 2)]
    assert summary(check(stream(encode(reply_frames(items)), block("rm", notice="")))) == [("ls", '{"cmd": ')]


def test_a_call_that_nobody_made_is_refused() -> None:
    def change(event: Event) -> Iterable[Event]:
        return (
            (event, ToolCall(block=77, id="x", name="y", arguments="{}")) if isinstance(event, ToolCall) else (event,)
        )

    with pytest.raises(WireError, match="did not make"):
        stream(encode(reply_frames([call("ls", LS)])), change)


def test_a_text_of_a_block_that_is_not_there_is_refused() -> None:
    with pytest.raises(WireError, match="not in this reply"):
        stream(encode(reply_frames([message("x")])), lambda event: (TextDelta(block=9, text="y"), event))
