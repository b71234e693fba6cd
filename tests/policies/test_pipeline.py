"""How rules work together: order, refusals, failures, deadlines, shadows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from lockgate.events import (
    NEW_BLOCK,
    BlockEnd,
    Event,
    MessageEnd,
    MessageStart,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Unknown,
)
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Monitor, Policy
from lockgate.policies.pipeline import Refused
from tests.policies.chains import exchange_of, passed, pipeline_of, request_of, rule_of

TEXT = TextDelta(block=0, text="a")
LS = ToolCall(block=1, id="1", name="Bash", arguments='{"command":"ls"}')
READ = ToolCall(block=2, id="2", name="Read", arguments='{"path":"x"}')
END = MessageEnd(stop_reason="tool_use")


class Loud(Policy):
    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        return (replace(text, text=text.text.upper()),)


class Twice(Policy):
    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        return (text, replace(text, text="b"))


class Deny(Policy):
    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        raise Blocked("no tools here", reason="looked at it", score=0.9)


class Swallow(Policy):
    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        return ()


class Crash(Policy):
    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        raise KeyError("sk-secret")


class CrashOnCalls(Policy):
    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        raise KeyError("bug")


class Never(Policy):
    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        await asyncio.Event().wait()
        return (call,)


class Closing(Policy):
    async def on_end(self, x: Exchange) -> Iterable[Event]:
        return (TextDelta(block=NEW_BLOCK, text="a word at the end"),)


class Other(Policy):
    async def on_request(self, request: Request, x: Exchange) -> Request:
        return request.with_values({("model",): "other"})


class NoRequest(Policy):
    async def on_request(self, request: Request, x: Exchange) -> Request:
        raise Blocked("not this")


class Suspicious(Monitor):
    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        return 0.25, "a little odd"


async def test_events_that_no_rule_changes_come_back_as_the_same_tuple() -> None:
    pipeline = pipeline_of(Policy, Suspicious)
    events = (MessageStart(id="m", model="m"), TEXT, ThinkingDelta(block=3, text="t"), Unknown(), LS, END)
    assert await pipeline.reply(events) is events
    assert pipeline.unseen((TEXT, Unknown(), BlockEnd(block=0)))
    assert not pipeline.unseen((LS,))


async def test_what_a_rule_emits_passes_the_later_rules_and_not_the_earlier() -> None:
    assert [e.text for e in await passed(pipeline_of(Twice, Loud), [TEXT]) if isinstance(e, TextDelta)] == ["A", "B"]
    assert [e.text for e in await passed(pipeline_of(Loud, Twice), [TEXT]) if isinstance(e, TextDelta)] == ["A", "b"]


async def test_what_is_added_at_the_end_comes_before_it_and_passes_the_later_rules() -> None:
    out = await passed(pipeline_of(Closing, Loud), [LS, END])
    assert out == [LS, TextDelta(block=NEW_BLOCK, text="A WORD AT THE END"), END]


async def test_calls_are_refused_one_by_one() -> None:
    pipeline = pipeline_of(rule_of(Deny, match={"tool": "Read"}))
    first, second = await passed(pipeline, [LS, READ])
    assert first is LS
    assert isinstance(second, TextDelta)
    assert second.block == READ.block
    assert "no tools here" in second.text
    assert "looked at it" not in second.text
    assert "path: x" in second.text


@pytest.mark.parametrize(("refusal", "kind"), [(None, ToolCall), ("explain", ToolCall), ("text", TextDelta)])
async def test_a_refused_command_takes_the_shape_its_rule_names(refusal: Any, kind: type[Event]) -> None:
    [out] = await passed(pipeline_of(rule_of(Deny, refusal=refusal)), [LS])
    assert type(out) is kind
    if isinstance(out, ToolCall):
        assert (out.id, out.name, out.block) == (LS.id, LS.name, LS.block)
        assert "no tools here" in out.arguments


async def test_a_refused_call_may_end_the_reply() -> None:
    with pytest.raises(Refused, match="no tools here") as caught:
        await passed(pipeline_of(rule_of(Deny, refusal="error")), [LS])
    assert caught.value.rule == "deny"


async def test_a_notice_passes_later_rules_for_text_and_none_for_calls() -> None:
    x = exchange_of()
    [out] = await passed(pipeline_of(rule_of(Deny, name="first"), rule_of(Deny, name="second"), Loud, x=x), [LS])
    assert isinstance(out, ToolCall)
    assert "NO TOOLS HERE" in out.arguments
    assert [decision.rule for decision in x.decisions] == ["first", "loud"]


async def test_a_call_is_never_dropped_in_silence() -> None:
    [out] = await passed(pipeline_of(Swallow), [READ])
    assert isinstance(out, TextDelta)
    assert "swallow" in out.text


async def test_a_rule_that_fails_blocks_and_says_nothing_of_the_fault() -> None:
    x = exchange_of()
    with pytest.raises(Refused) as caught:
        await passed(pipeline_of(Crash, x=x), [TEXT])
    assert "sk-secret" not in str(caught.value)
    [decision] = x.decisions
    assert decision.action == "blocked"
    assert decision.reason.startswith("KeyError in ")
    assert "sk-secret" not in decision.reason


async def test_a_call_that_cannot_be_judged_is_refused_alone() -> None:
    [out] = await passed(pipeline_of(CrashOnCalls), [READ])
    assert isinstance(out, TextDelta)
    assert "could not be checked" in out.text


async def test_a_rule_may_forward_what_it_fails_on() -> None:
    x = exchange_of()
    assert await passed(pipeline_of(rule_of(Crash, on_error="forward"), Loud, x=x), [TEXT]) == [
        TextDelta(block=0, text="A")
    ]
    assert [(d.rule, d.action) for d in x.decisions] == [("crash", "failed"), ("loud", "replaced")]


@pytest.mark.parametrize("on_error", ["block", "forward"])
async def test_a_deadline_lets_on_error_decide(on_error: Any) -> None:
    x = exchange_of()
    [out] = await passed(pipeline_of(rule_of(Never, on_error=on_error, deadline_seconds=0.001), x=x), [READ])
    assert (out is READ) == (on_error == "forward")
    assert any("no verdict within" in decision.reason for decision in x.decisions)


async def test_requests_fold_and_the_original_is_kept() -> None:
    given = request_of(messages=[{"role": "user", "content": "hi"}])
    out = await pipeline_of(Policy, Other).request(given)
    assert (given.document["model"], out.document["model"], out.model, out.raw) == ("m", "other", "other", b"")
    assert out.document["messages"] is given.document["messages"]


async def test_a_refused_request_names_rule_and_shape() -> None:
    with pytest.raises(Refused, match="not this") as caught:
        await pipeline_of(rule_of(NoRequest, refusal="reply")).request(request_of())
    assert (caught.value.rule, caught.value.shape) == ("norequest", "reply")


async def test_a_shadow_changes_nothing_and_records_what_it_would_have_done() -> None:
    x = exchange_of()
    pipeline = pipeline_of(rule_of(Deny, mode="shadow"), rule_of(NoRequest, mode="shadow"), x=x)
    given = request_of()
    assert await pipeline.request(given) is given
    assert await passed(pipeline, [LS, END]) == [LS, END]
    await pipeline.close()
    assert not pipeline.holds_calls
    assert not pipeline.judges_reply
    assert [(d.rule, d.mode, d.action, d.score) for d in x.decisions] == [
        ("norequest", "shadow", "blocked", None),
        ("deny", "shadow", "blocked", 0.9),
    ]


async def test_a_shadow_that_waits_makes_nobody_wait() -> None:
    x = exchange_of()
    pipeline = pipeline_of(rule_of(Never, mode="shadow", deadline_seconds=0.01), x=x)
    assert await passed(pipeline, [LS, READ]) == [LS, READ]
    assert x.decisions == []
    await pipeline.close()
    assert [decision.subject for decision in x.decisions] == ["toolcall", "toolcall"]


async def test_a_monitor_scores_and_lets_go_on() -> None:
    x = exchange_of()
    assert await passed(pipeline_of(Suspicious, x=x), [LS]) == [LS]
    [decision] = x.decisions
    assert (decision.score, decision.reason, decision.action) == (0.25, "a little odd", "forwarded")


async def test_each_exchange_has_an_instance_of_its_own() -> None:
    class Counts(Policy):
        seen = 0

        async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
            self.seen += 1
            return (replace(text, text=str(self.seen)),)

    rule = rule_of(Counts)
    texts = [(await passed(pipeline_of(rule), [TEXT]))[0] for _ in range(2)]
    assert texts == [TextDelta(block=0, text="1")] * 2
