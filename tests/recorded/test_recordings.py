"""What the recordings hold, told from their bytes: the file that says what happened has to agree with them."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients import install
from tests.clients.agents import ANTHROPIC_KEY, OPENAI_KEY
from tests.recorded import claude_story, codex_story
from tests.recorded.recordings import FOLDER, NAMES, Exchange, Recording, load
from tests.recorded.replaying import reply_of, said

type Json = dict[str, Any]

TURNS = 40
STRANGE_PATHS = re.compile(rb"(?<![\w.:/~-])/(?:root/(?!task)|(?:home|Users|work|srv|mnt|opt)/|tmp/(?!dev/))[\w.-]+")
"""Codex calls its agents /root and /root/task1, say."""


def whole(exchange: Exchange) -> Json:
    """The reply as one document."""
    return json.loads(said(exchange))


def turns(recording: Recording, session: str) -> list[Exchange]:
    """The requests of a conversation that were answered, side agents and compactions apart."""
    return [one for one in recording.of("main") if one.status == 200 and said_session(one) == session]


def said_session(exchange: Exchange) -> str:
    return exchange.header("x-claude-code-session-id") or exchange.header("session-id")


def first_session(recording: Recording) -> str:
    return said_session(recording.of("main")[0])


def test_a_conversation_has_at_least_40_turns(recording: Recording) -> None:
    assert len(turns(recording, first_session(recording))) >= TURNS


def test_every_conversation_has_a_role_and_nothing_else_has(recording: Recording) -> None:
    posts = {one.number for one in recording.exchanges if one.method == "POST"}
    assert set(recording.roles) == posts
    assert {one.run for one in recording.exchanges} == {run.name for run in recording.runs}


def test_requests_came_in_order_and_replies_after_them(recording: Recording) -> None:
    assert [one.number for one in recording.exchanges] == list(range(1, len(recording.exchanges) + 1))
    asked = [one.asked_ms for one in recording.exchanges]
    assert asked == sorted(asked)
    assert all(one.asked_ms <= one.first_byte_ms <= one.ended_ms for one in recording.exchanges)
    assert {one.ending for one in recording.exchanges} == {"complete"}


def test_nothing_tells_of_a_machine_or_a_person(recording: Recording) -> None:
    for one in recording.exchanges:
        heads = json.dumps([one.path, one.request_headers, one.response_headers]).encode()
        data = heads + one.request_body + one.response_body
        assert STRANGE_PATHS.findall(data) == []
        for secret in (*ANTHROPIC_KEY.values(), *OPENAI_KEY.values(), platform.release()):
            assert secret.encode() not in data


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_small(name: str) -> None:
    assert (FOLDER / f"{name}.jsonl.zst").stat().st_size < 2**20


def test_the_recorded_versions_are_those_that_other_tests_run() -> None:
    assert claude_story.VERSION in install.CLAUDE.specifications[0]
    assert codex_story.VERSION in install.CODEX.specifications[0]


# Claude Code


def claude_blocks(exchange: Exchange, kind: str) -> list[Json]:
    return [block for block in whole(exchange)["content"] if block["type"] == kind]


def test_claude_thinks_and_calls_several_tools_at_once() -> None:
    found = turns(load("claude"), first_session(load("claude")))
    assert sum(bool(claude_blocks(one, "thinking")) for one in found) >= 20
    parallel = [one for one in found if len(claude_blocks(one, "tool_use")) > 1]
    assert len(parallel) >= 3
    for one in parallel:
        called = {block["id"] for block in claude_blocks(one, "tool_use")}
        assert any(called == results for later in found for results in _result_groups(later))


def _result_groups(exchange: Exchange) -> Iterator[set[str]]:
    for message in exchange.request["messages"]:
        if isinstance(message["content"], list):
            yield {block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"}


def test_claude_compacts_by_hand_and_by_itself() -> None:
    recording = load("claude")
    asked = [one for one in recording.exchanges if one.header("x-claude-code-request-class") == "compaction"]
    assert asked == recording.of("compaction")
    assert [one.header("x-claude-code-compaction") for one in asked] == ["manual", "auto"]
    for one in asked:
        summary = claude_blocks(one, "text")[0]["text"].split("<summary>")[1].split("</summary>")[0].strip()
        later = next(two for two in recording.of("main") if two.number > one.number)
        assert summary in later.request["messages"][0]["content"]
        assert len(later.request["messages"]) < len(one.request["messages"]) / 1.5


def test_claude_forks_into_another_session_and_rewinds_within_one() -> None:
    recording = load("claude")
    for branch, other, is_same in (("fork", "third", False), ("rewind", "seventh", True)):
        left, right = recording.of("main", branch)[0], recording.of("main", other)[0]
        assert (said_session(left) == said_session(right)) is is_same
        shared = _shared(_plain(left.request["messages"]), _plain(right.request["messages"]))
        assert shared >= len(left.request["messages"]) - 1
        assert shared < len(right.request["messages"])
        replies = [whole(one)["content"] for one in recording.exchanges if one.number < left.number and reply_of(one)]
        assert any(message["content"] in replies for message in left.request["messages"])


def _plain(messages: list[Json]) -> list[Json]:
    """Messages as they are without what moves from request to request."""
    return json.loads(json.dumps(messages), object_hook=_without_marks)


def _without_marks(value: Json) -> Json:
    value.pop("cache_control", None)
    if isinstance(value.get("content"), str):
        value["content"] = [{"type": "text", "text": value["content"]}]
    return value


def _shared(left: list[Json], right: list[Json]) -> int:
    """How many items both begin with."""
    return next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def test_claudes_sub_agents_belong_to_the_session_and_run_side_by_side() -> None:
    recording = load("claude")
    agents = [one for one in recording.exchanges if one.header("x-claude-code-agent-id")]
    assert {recording.roles[one.number] for one in agents} == {"agent:survey", "agent:review", "agent:watch"}
    assert {said_session(one) for one in agents} == {first_session(recording)}
    assert {said_session(one) for one in recording.of("main", "fork")}.isdisjoint({first_session(recording)})
    survey, review = (
        [one.number for one in agents if recording.roles[one.number] == f"agent:{name}"]
        for name in ("survey", "review")
    )
    assert min(survey) < max(review)
    assert min(review) < max(survey)


def test_claude_asks_again_what_was_refused_for_the_moment() -> None:
    recording = load("claude")
    [refused] = [one for one in recording.of("main") if one.status == 529]
    again = recording.exchanges[refused.number]
    assert (again.status, again.request_body) == (200, refused.request_body)


def test_claude_asks_for_titles_beside_the_conversation() -> None:
    recording = load("claude")
    titles = recording.of("title")
    assert {one.header("x-claude-code-request-class") for one in titles} == {"auxiliary"}
    assert not any(one.request.get("tools") for one in titles)
    [session] = {said_session(one) for one in (*titles, *recording.of("main", "interactive"))}
    assert session != first_session(recording)


def test_claude_sends_a_picture() -> None:
    assert any(b'"media_type":"image/png"' in one.request_body for one in load("claude").of("main"))


# Codex


def codex_metadata(exchange: Exchange) -> Json:
    return json.loads(exchange.header("x-codex-turn-metadata") or "{}")


def codex_items(exchange: Exchange, *kinds: str) -> list[Json]:
    return [item for item in whole(exchange)["output"] if item["type"] in kinds]


def test_codex_thinks_and_calls_several_tools_at_once() -> None:
    found = turns(load("codex"), first_session(load("codex")))
    assert sum(bool(codex_items(one, "reasoning")) for one in found) >= 20
    assert sum(len(codex_items(one, "function_call")) > 1 for one in found) >= 3


def test_codex_compacts_at_the_provider_and_by_a_summary() -> None:
    recording = load("codex")
    asked = [one for one in recording.exchanges if codex_metadata(one).get("request_kind") == "compaction"]
    assert asked == recording.of("compaction")
    for one in asked:
        later = next(two for two in recording.of("main") if two.number > one.number)
        if one.request["input"][-1] == {"type": "compaction_trigger"}:
            [item] = codex_items(one, "compaction")
            assert item in later.request["input"]
        else:
            summary = codex_items(one, "message")[0]["content"][0]["text"]
            assert any(_user_text(item).endswith(summary) for item in later.request["input"])
        assert len(later.request["input"]) < len(one.request["input"])
    triggers = [codex_metadata(one)["compaction"]["trigger"] for one in asked]
    assert triggers == ["auto", "manual", "auto"]


def _user_text(item: Json) -> str:
    return item["content"][-1].get("text", "") if item.get("role") == "user" else ""


def test_codex_forks_and_rewinds_into_other_sessions() -> None:
    recording = load("codex")
    for branch, other in (("fork", "agents"), ("rewind", "fourth")):
        left, right = recording.of("main", branch)[0], recording.of("main", other)[0]
        assert codex_metadata(left)["forked_from_thread_id"] == said_session(right) == first_session(recording)
        assert said_session(left) != said_session(right)
        # The first item, the instructions, has an id that is made from the thread's.
        shared = _shared(left.request["input"][1:], right.request["input"][1:])
        assert shared == len(left.request["input"]) - 2


def test_codexs_sub_agents_have_threads_of_their_own() -> None:
    recording = load("codex")
    posts = [one for one in recording.exchanges if one.method == "POST"]
    agents = [one for one in posts if one.header("x-openai-subagent")]
    assert {recording.roles[one.number] for one in agents} == {"agent:survey", "agent:review"}
    assert {one.header("x-codex-parent-thread-id") for one in agents} == {first_session(recording)}
    assert len({one.header("thread-id") for one in agents}) == 2


def test_codex_has_tools_in_the_conversation_with_another_model() -> None:
    [first, *_] = load("codex").of("main", "scripts")
    assert "tools" not in first.request
    assert first.request["input"][0]["type"] == "additional_tools"
    assert codex_items(first, "custom_tool_call")
