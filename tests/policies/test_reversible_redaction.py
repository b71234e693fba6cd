"""`reversible_redaction`: placeholders on the way up, what they stand for on the way down, nothing in between."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.events import BlockEnd, Event, MessageEnd, Request, TextDelta, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.pipeline import Pipeline
from lockgate.policies.registry import Rule, load_rules
from lockgate.policies.vault import Vault, Vaults
from lockgate.wire import anthropic, openai_chat, openai_responses
from tests.policies.chains import exchange_of, passed, pipeline_of
from tests.policies.test_secret_guard import FORMATS

MAIL = "ann.lee@corp.io"
PASSWORD = 'kR9#v"T2!m\\Q7x'
SAID = f"Write to {MAIL} (DE89370400440532013000)."
PLACEHOLDER = re.compile(r"REDACTED_[A-Z0-9_]+_[0-9a-f]{8}")


def rule(**options: Any) -> Rule:
    return load_rules([RuleConfig.model_validate({"name": "r", "use": "reversible_redaction", "with": options})]).rules[
        0
    ]


async def sent(given: Request, *rules: Rule, session: str = "s") -> tuple[Pipeline, Exchange, Request]:
    x = exchange_of(given, session_id=session)
    pipeline = pipeline_of(*(rules or (rule(),)), x=x)
    return pipeline, x, await pipeline.request(given)


def asking(text: str) -> Request:
    document = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": text}]}
    return anthropic.FORMAT.read_request(json.dumps(document).encode())


def user_text(request: Request) -> str:
    return next(iter(request.texts())).text


@pytest.mark.parametrize(("format", "document"), FORMATS, ids=lambda value: getattr(value, "name", ""))
async def test_up_in_every_format(format: Any, document: Any):
    given = format.read_request(json.dumps(document(SAID)).encode())
    _, x, out = await sent(given)
    body = json.dumps(out.document)
    assert MAIL not in body
    assert "DE8937" not in body
    (mail,) = {found for found in PLACEHOLDER.findall(body) if "EMAIL" in found}
    assert x.concealed[MAIL] == mail
    assert json.loads(
        body.replace(mail, MAIL).replace(x.concealed["DE89370400440532013000"], "DE89370400440532013000")
    ) == (json.loads(json.dumps(given.document)))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 100])
async def test_down_wherever_it_was_cut(size: int):
    pipeline, _, out = await sent(asking(SAID))
    reply = f"As REDACTED you said: {user_text(out)} REDACTED_EMAIL_zz REDACTED_NAME_00000000 REDACTED_"
    events: list[Event] = [TextDelta(block=0, text=reply[at : at + size]) for at in range(0, len(reply), size)]
    said = await passed(pipeline, [*events, BlockEnd(block=0), MessageEnd(stop_reason="end_turn")])
    text = "".join(event.text for event in said if isinstance(event, TextDelta))
    assert text == f"As REDACTED you said: {SAID} REDACTED_EMAIL_zz REDACTED_NAME_00000000 REDACTED_"


async def test_text_without_placeholders_is_not_held_back():
    pipeline, _, _ = await sent(asking(SAID))
    delta = TextDelta(block=0, text="Nothing of the sort")
    assert await pipeline.reply((delta,)) == (delta,)


async def test_down_in_arguments_escaped_as_they_have_to_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OUR_PASSWORD", PASSWORD)
    pipeline, _, out = await sent(asking(f"use {PASSWORD} for {MAIL}"), rule(environment=["OUR_PASSWORD"]))
    (hidden, mail) = PLACEHOLDER.findall(user_text(out))
    call = ToolCall(block=1, id="c", name="Bash", arguments=json.dumps({"command": f"login '{hidden}' {mail}", "n": 1}))
    script = f'text(await tools.exec_command({{cmd: "login {hidden}"}}))'
    program = ToolCall(block=2, id="d", name="exec", arguments=script, custom=True)
    patch = ToolCall(block=3, id="e", name="apply_patch", arguments=f"+{hidden}", custom=True)
    got = await passed(pipeline, [call, program, patch])
    found = [event for event in got if isinstance(event, ToolCall)]
    assert json.loads(found[0].arguments) == {"command": f"login '{PASSWORD}' {MAIL}", "n": 1}
    assert found[1].arguments == script.replace(hidden, json.dumps(PASSWORD)[1:-1])
    assert found[2].arguments == f"+{PASSWORD}"


@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_down_in_other_case_and_escaped(size: int):
    pipeline, _, out = await sent(asking(MAIL))
    name = user_text(out)
    forms = [name.title(), name.replace("_", "\\_"), name[:9] + name[9:].upper(), name[:9] + name[9:].lower()]
    reply = f"R Re {' '.join(forms)} {name}s R\\\\\\ REDACTED\\_"
    events: list[Event] = [TextDelta(block=0, text=reply[at : at + size]) for at in range(0, len(reply), size)]
    said = await passed(pipeline, [*events, BlockEnd(block=0), MessageEnd(stop_reason="end_turn")])
    text = "".join(event.text for event in said if isinstance(event, TextDelta))
    assert text == f"R Re {MAIL} {MAIL} {MAIL} {MAIL} {MAIL}s R\\\\\\ REDACTED\\_"
    call = ToolCall(block=1, id="c", name="t", arguments=json.dumps({"a": [*forms, name.lower()], name: "a key"}))
    (back,) = await passed(pipeline, [call])
    assert isinstance(back, ToolCall)
    assert json.loads(back.arguments) == {"a": [MAIL] * 5, MAIL: "a key"}


async def test_what_is_put_back_from_an_earlier_turn_is_not_in_the_log():
    here = rule()
    _, _, out = await sent(asking(MAIL), here)
    pipeline, x, _ = await sent(asking("and the address?"), here)
    assert not x.concealed
    await passed(pipeline, [TextDelta(block=0, text=f"{user_text(out)} ")])
    assert x.concealed == {MAIL: user_text(out)}


async def test_a_request_gets_all_of_its_own_back_however_many():
    mails = " ".join(f"person{number}@corp-nine.io" for number in range(30))
    pipeline, _, out = await sent(asking(mails), rule(entries=3))
    call = ToolCall(block=1, id="c", name="t", arguments=json.dumps({"to": user_text(out)}))
    (back,) = await passed(pipeline, [call])
    assert isinstance(back, ToolCall)
    assert json.loads(back.arguments) == {"to": mails}


def test_two_values_never_share_a_placeholder(monkeypatch: pytest.MonkeyPatch):
    def few(data: bytes, *, key: bytes, digest_size: int) -> Any:
        return hashlib.sha256(bytes([data.count(b"\0")]))

    monkeypatch.setattr("lockgate.policies.vault.hashlib.blake2b", few)
    vault = Vault(9, "s")
    names = {value: vault.placeholder("email", value) for value in ("a", "b", "c")}
    assert {value: vault.value(name) for value, name in names.items()} == {"a": "a", "b": "b", "c": "c"}
    assert vault.placeholder("email", "b") == names["b"]


async def test_the_same_value_is_the_same_placeholder_in_a_session_and_no_other():
    here = rule()
    _, _, first = await sent(asking(SAID), here)
    _, _, again = await sent(asking(f"Once more: {SAID}"), here)
    _, _, other = await sent(asking(SAID), here, session="t")
    assert PLACEHOLDER.findall(user_text(first)) == PLACEHOLDER.findall(user_text(again))
    assert PLACEHOLDER.findall(user_text(first)) != PLACEHOLDER.findall(user_text(other))


async def test_a_later_turn_knows_what_an_earlier_one_hid():
    here = rule()
    _, _, out = await sent(asking(SAID), here)
    pipeline, _, _ = await sent(asking("and the address?"), here)
    text = TextDelta(block=0, text=f"{user_text(out)} ")
    (back, _) = await passed(pipeline, [text, BlockEnd(block=0)])
    assert isinstance(back, TextDelta)
    assert back.text == f"{SAID} "
    elsewhere, _, _ = await sent(asking("and the address?"), here, session="t")
    assert await passed(elsewhere, [text]) == [text]


def test_memory_is_bounded():
    vault = Vault(2, "s")
    names = [vault.placeholder("email", value) for value in ("a", "b", "c")]
    assert [vault.value(name) for name in names] == [None, "b", "c"]
    vaults = Vaults(1, 2)
    first = vaults.of("one")
    assert vaults.of("one") is first
    vaults.of("two")
    assert vaults.of("one") is not first
    assert vaults.of("") is not vaults.of("")


def test_formats_are_all_there():
    assert [format for format, _ in FORMATS] == [anthropic.FORMAT, openai_chat.FORMAT, openai_responses.FORMAT]
