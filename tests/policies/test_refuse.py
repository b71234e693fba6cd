"""`refuse` and `noop`."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.events import BlockEnd, Event, MessageEnd, TextDelta, ToolCall
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import load_rules
from lockgate.wire.anthropic import FORMAT
from tests.policies.chains import exchange_of, passed

CALL = ToolCall(block=1, id="c", name="Read", arguments='{"file_path": "/a\\u002fb"}')
TEXTS: list[Event] = [TextDelta(block=0, text="for"), TextDelta(block=0, text="bidden"), BlockEnd(block=0)]
END = MessageEnd(stop_reason="end_turn")
REQUEST = FORMAT.read_request(b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"forbidden"}]}')


def pipeline(use: str, **options: Any) -> Pipeline:
    return Pipeline(load_rules([RuleConfig.model_validate({"name": "r", "use": use, "with": options})]), exchange_of())


async def test_noop_lets_everything_pass():
    rule = pipeline("noop")
    assert await rule.request(REQUEST) is REQUEST
    assert await passed(rule, [*TEXTS, CALL, END]) == [*TEXTS, CALL, END]
    assert not rule.judges_reply


@pytest.mark.parametrize(
    ("options", "blocked"),
    [({}, True), ({"pattern": "forb"}, True), ({"pattern": "^bidden"}, False), ({"what": ["calls", "text"]}, False)],
)
async def test_requests(options: dict[str, Any], blocked: bool):
    rule = pipeline("refuse", **options)
    if not blocked:
        assert await rule.request(REQUEST) is REQUEST
        return
    with pytest.raises(Refused, match="Blocked by the Lockgate rule r: This is not allowed here"):
        await rule.request(REQUEST)


@pytest.mark.parametrize(
    ("options", "blocked"),
    [
        ({"what": ["text"]}, True),
        ({"what": ["text"], "pattern": "forbidden"}, True),
        ({"what": ["text"], "pattern": "forbids"}, False),
        ({"what": ["calls"], "pattern": "forbidden"}, False),
        ({}, False),
    ],
)
async def test_text(options: dict[str, Any], blocked: bool):
    rule = pipeline("refuse", **options)
    if blocked:
        with pytest.raises(Refused, match="This is not allowed here"):
            await passed(rule, [*TEXTS, END])
        return
    out = await passed(rule, [*TEXTS, END])
    assert "".join(event.text for event in out if isinstance(event, TextDelta)) == "forbidden"


@pytest.mark.parametrize(
    ("options", "blocked"),
    [
        ({"what": ["calls"]}, True),
        ({"what": ["calls"], "pattern": "^Read$"}, True),
        ({"what": ["calls"], "pattern": "^/a/b$"}, True),
        ({"what": ["calls"], "pattern": "file_path"}, False),
        ({"what": ["text"]}, False),
    ],
)
async def test_calls(options: dict[str, Any], blocked: bool):
    out = await passed(pipeline("refuse", sentence="Closed.", **options), [CALL])
    assert (out != [CALL]) is blocked
    assert not blocked or (isinstance(out[0], TextDelta) and out[0].text.endswith("Closed."))
