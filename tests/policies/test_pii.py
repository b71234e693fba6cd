"""`pii`: personal data by form and check digits, the same at every cut, and what only looks like it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.events import NEW_BLOCK, TextDelta, ToolCall
from lockgate.policies.pii import ALL
from lockgate.policies.pii_scan import PiiDetector
from lockgate.policies.registry import load_rules
from lockgate.policies.spans import SpanWindow, replaced
from tests.policies.chains import exchange_of
from tests.policies.conversing import Call, Text, Wire, asking, every_wire, exchanged, rule

DETECTOR = PiiDetector(ALL)
FOUND = [
    ("write to ann.lee+x@mail.acme-corp.de today", "write to <email> today"),
    ("pay with 4111 1111 1111 1111, thanks", "pay with <card>, thanks"),
    ("card:5500-0000-0000-0004;", "card:<card>;"),
    ("amex 378282246310005", "amex <card>"),
    ("to DE89 3704 0044 0532 0130 00 please", "to <iban> please"),
    ("IBAN GB82WEST12345698765432.", "IBAN <iban>."),
    ("his SSN 536-90-4399 is", "his SSN <national-id> is"),
    ("codice RSSMRA85T10A562S ok", "codice <national-id> ok"),
    ("CPF 390.533.447-05.", "CPF <national-id>."),
    ("DNI: 54362315K", "DNI: <national-id>"),
    ("Steuer-ID 36 574 261 809 ok", "Steuer-ID <national-id> ok"),
    ("NHS number 943 476 5870 ok", "NHS number <national-id> ok"),
    ("call +49 30 901820-14 now", "call <phone> now"),
    ("(212) 555-0198 is it", "<phone> is it"),
    ("Tel. 030 9018 2014", "Tel. <phone>"),
    ("a@b.io 4111111111111111 c@d.io", "<email> <card> <email>"),
    ('{"email": "ann@corp.io", "n": 1}', '{"email": "<email>", "n": 1}'),
]  # fmt: skip
NOT_FOUND = [
    "ann@example.com and noreply@acme.dev",
    "git@github.com:acme/app.git",
    "card 4111 1111 1111 1112",
    "1234567890123456",
    "0000 0000 0000 0000",
    "DE89 3704 0044 0532 0130 01",
    "version 1.2.3-4567, 2026-11-21 17:40:12.123456",
    "sha 4111111111111111aa",
    "id=550e8400-e29b-41d4-a716-446655440000",
    "rows 100 200 300 400 500 600 700 800",
    "ssn 000-12-3456",
    "192.168.100.200:8080",
    "CPF 390.533.447-06",
    "total 36 574 261 809 bytes",
    "line 1200 of 9434765870",
    "import numpy as np; np.array([1.5e10, 2.25e11])",
    "1732209600000 ms since the epoch",
    "icon@2x.png",
]


def redacted(text: str) -> str:
    return replaced(text, 0, len(text), DETECTOR.spans(text, 0, len(text)), lambda kind, _: f"<{kind}>")


@pytest.mark.parametrize(("text", "expected"), [*FOUND, *((text, text) for text in NOT_FOUND)])
def test_whole_and_cut_anywhere(text: str, expected: str):
    assert redacted(text) == expected
    for before, after in (("", ""), ("So: ", " and more.\n")):
        whole = before + text + after
        for size in (1, 2, 5):
            window = SpanWindow(DETECTOR, lambda kind, _: f"<{kind}>")
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
            assert "".join(map(window.receive_text, pieces)) + window.end() == before + expected + after
        for cut in range(len(whole)):
            window = SpanWindow(DETECTOR, lambda kind, _: f"<{kind}>")
            out = window.receive_text(whole[:cut]) + window.receive_text(whole[cut:]) + window.end()
            assert out == before + expected + after


async def test_only_these_kinds_in_these_places():
    loaded = load_rules([RuleConfig.model_validate({"name": "p", "use": "pii", "with": {"kinds": ["iban"]}})]).rules[0]
    policy = loaded.policy(loaded.options, loaded.shared)
    said = "ann@corp.io DE89370400440532013000"
    (text,) = await policy.on_event(TextDelta(block=NEW_BLOCK, text=said), exchange_of())
    assert text == TextDelta(block=NEW_BLOCK, text="ann@corp.io [iban]")
    call = ToolCall(block=1, id="c", name="T", arguments=json.dumps({"to": said}))
    (out,) = await policy.on_event(call, exchange_of())
    assert isinstance(out, ToolCall)
    assert json.loads(out.arguments) == {"to": "ann@corp.io [iban]"}
    assert policy.reason == "found in the call: iban"


@every_wire
async def test_keys_of_arguments_in_every_format(wire: Wire):
    given = {"anna@corp.io": "admin", "bert@corp.io": {"carl@corp.io": "anna@corp.io"}, "n": 1}
    hidden = {"[email]": "admin", "[email] (2)": {"[email]": "[email]"}, "n": 1}
    said = await exchanged(asking(wire, **called(wire, given)), rule("pii"), Call("t", given))
    body = json.dumps(said.request.document)
    assert "@corp.io" not in body
    assert "[email] (2)" in body
    assert [json.loads(call.arguments) for call in said.calls] == [hidden]


@every_wire
async def test_what_is_only_told_of_is_not_told_as_replaced(wire: Wire):
    alert = rule("pii", requests="alert", text="alert", arguments="alert")
    text, arguments = "write to anna@corp.io, and so on", {"to": "anna@corp.io"}
    said = await exchanged(wire, alert, Text(text), Call("t", arguments))
    assert (said.text, json.loads(said.calls[0].arguments)) == (text, arguments)
    assert {(one.action, one.reason) for one in said.decisions} == {
        ("forwarded", "found in the text: email"), ("forwarded", "found in the call: email"),
    }  # fmt: skip


def called(wire: Wire, arguments: dict[str, Any]) -> dict[str, Any]:
    """The keys of a request whose history has a call with these arguments."""
    if wire.name == "anthropic":
        call = {"type": "tool_use", "id": "c", "name": "t", "input": arguments}
        return {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call]}]}
    body = {"name": "t", "arguments": json.dumps(arguments)}
    if wire.name == "openai-chat":
        return {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": body}]}]}
    return {"input": [{"type": "function_call", "call_id": "c", **body}]}
