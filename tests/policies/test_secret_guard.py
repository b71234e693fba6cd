"""`secret_guard`: what is found in requests, text and arguments, and that none of it passes."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Sequence
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import NEW_BLOCK, BlockEnd, Event, MessageEnd, TextDelta, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import load_rules
from lockgate.policies.secret_guard import SecretGuard
from lockgate.policies.secret_rules import OWN_RULES, Prefilter
from lockgate.policies.secret_rules import load_rules as load_secret_rules
from lockgate.policies.secret_scan import SecretDetector
from lockgate.policies.spans import SpanWindow, again, replaced
from lockgate.wire import anthropic, openai_chat, openai_responses
from tests.datasets.reading import rows
from tests.policies.chains import exchange_of, passed, pipeline_of

ROWS = rows("secrets")
DETECTOR = SecretDetector(Prefilter(load_secret_rules(OWN_RULES)))
LONG_CHARS = 400
EVERY_CUT = 250
"""So many rows are cut at every place, the others at some."""


def made(prefix: str, chars: int, seed: int = 1) -> str:
    """A key that no issuer ever gave out."""
    return prefix + "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=chars))


KEY = made("gh" + "p_", 36)
OWN_KEY = made("key", 44, 2)


def config(options: dict[str, Any], **fields: Any) -> RuleConfig:
    return RuleConfig.model_validate({"name": "secrets", "use": "secret_guard", "with": options, **fields})


def guard(**options: Any) -> SecretGuard:
    rule = load_rules([config(options)]).rules[0]
    policy = rule.policy(rule.options, rule.shared)
    assert isinstance(policy, SecretGuard)
    return policy


def pipeline(x: Exchange | None = None, **options: Any) -> Pipeline:
    return pipeline_of(*load_rules([config(options)]).rules, x=x)


def redacted(text: str, detector: SecretDetector = DETECTOR) -> str:
    spans = again(text, 0, len(text), detector.spans(text, 0, len(text)), {})
    return replaced(text, 0, len(text), spans, lambda kind, _: f"<{kind}>")


def streamed(pieces: Sequence[str], detector: SecretDetector = DETECTOR) -> str:
    window = SpanWindow(detector, lambda kind, _: f"<{kind}>")
    return "".join(map(window.receive_text, pieces)) + window.end()


def test_recall_and_false_positives():
    harmful, harmless = [row for row in ROWS if row["label"]], [row for row in ROWS if not row["label"]]
    found = [row for row in harmful if row["secret"] not in redacted(row["text"])]
    wrong = [row for row in harmless if redacted(row["text"]) != row["text"]]
    assert len(harmful) >= 200
    assert len(harmless) >= 200
    assert len(found) / len(harmful) >= 0.98
    assert len(wrong) / len(harmless) < 0.01


@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda number: f"{ROWS[number]['group']}-{number}")
def test_every_split_gives_the_same(number: int):
    text = f"Before. {ROWS[number]['text']} And after it."
    expected = redacted(text)
    step = 1 if len(text) < LONG_CHARS and number < EVERY_CUT else max(31, len(text) // 16)
    assert streamed(list(text)) == expected
    for cut in range(0, len(text), step):
        assert streamed([text[:cut], text[cut:]]) == expected
    for size in (2, 3, 7, 20):
        assert streamed([text[at : at + size] for at in range(0, len(text), size)]) == expected


@pytest.mark.parametrize("text", ["Some words, " * 9, "a line\nof code = call(x)\n" * 5])
def test_only_the_last_word_is_held_back(text: str):
    window = SpanWindow(DETECTOR, lambda kind, _: kind)
    given = ""
    for piece in text.split(" "):
        given += f"{piece} "
        window.receive_text(f"{piece} ")
        assert window.held == ""


def test_what_was_found_is_found_again_where_nothing_names_it():
    value = "Qz7" + "mKp2" * 2 + "vX9t"
    text = f"{value} is odd.\nDB_PASSWORD={value}\nThen it said {value}, x{value} and /{value}?a=1 and {value}"
    expected = text.replace(f"={value}", "=<password>").replace(f"id {value}", "id <password>")
    expected = expected.replace(f"/{value}", "/<password>").replace(f"and {value}", "and <password>")
    assert redacted(text) == expected
    for cut in range(len(text)):
        assert streamed([text[:cut], text[cut:]]) == expected
    assert streamed([*text]) == expected


async def test_what_was_found_in_a_request_is_found_again():
    value = "Qz7" + "mKp2" * 2 + "vX9t"
    call = ToolCall(block=0, id="a", name="t", arguments=json.dumps({"x": f"password={value} and {value}"}))
    (out,) = await guard().on_event(call, exchange_of())
    assert isinstance(out, ToolCall)
    assert value not in out.arguments


def test_a_word_without_an_end_is_held_back_in_bounds():
    window = SpanWindow(DETECTOR, lambda kind, _: f"<{kind}>")
    text = "x1" * 30_000 + f"/{KEY}/" + "y2" * 30_000
    out = "".join(window.receive_text(text[at : at + 100]) for at in range(0, len(text), 100))
    assert len(window.held) <= 16_384 + 100
    assert (out + window.end()).replace("<github-token>", KEY) == text
    assert "<github-token>" in out


def encodings(secret: str) -> dict[str, str]:
    data = secret.encode()
    return {
        **{f"base64-{n}": base64.b64encode(b"abc"[:n] + data + b"zz").decode() for n in range(3)},
        "base64url": base64.urlsafe_b64encode(data).decode(),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "hex with colons": data.hex(":"),
        "url": "".join(f"%{byte:02X}" for byte in data),
        "reversed": secret[::-1],
        "spaced": " ".join(secret),
        "lines": "\n".join(secret[at : at + 7] for at in range(0, len(secret), 7)),
        "joined": '" + "'.join(secret[at : at + 5] for at in range(0, len(secret), 5)),
        "escapes": "".join(f"\\x{byte:02x}" for byte in data),
        "base64 of base64": base64.b64encode(base64.b64encode(data)).decode(),
        "plain": secret,
    }


@pytest.mark.parametrize("encoding", encodings(OWN_KEY))
async def test_the_exchanges_own_key_never_passes_in_any_encoding(encoding: str):
    said = f"Look: {encodings(OWN_KEY)[encoding]} was it."
    for size in (1, 3, 11, len(said)):
        events: list[Event] = [TextDelta(block=0, text=said[at : at + size]) for at in range(0, len(said), size)]
        out = await passed(pipeline(exchange_of(credentials=(OWN_KEY,))), [*events, BlockEnd(block=0)])
        text = "".join(event.text for event in out if isinstance(event, TextDelta))
        assert text.startswith("Look: ")
        assert text.endswith(" was it.")
        assert "[secret:known-secret" in text
        assert len(text) < 60


async def test_values_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OUR_PASSPHRASE", "several plain words")
    out = await guard(environment=["OUR_PASSPHRASE"]).on_event(
        TextDelta(block=NEW_BLOCK, text="(several plain words)"), exchange_of()
    )
    assert list(out) == [TextDelta(block=NEW_BLOCK, text="([secret:known-secret])")]
    with pytest.raises(ConfigError, match="OUR_OTHER is not set"):
        guard(environment=["OUR_OTHER"])


def anthropic_document(text: str) -> dict[str, Any]:
    return {
        "model": "m", "max_tokens": 5, "system": text,
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "B", "input": {"c": text}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": text}]},
        ],
    }  # fmt: skip


def chat_document(text: str) -> dict[str, Any]:
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": json.dumps({"command": text})}}
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t", "content": text},
        ],
    }  # fmt: skip


def responses_document(text: str) -> dict[str, Any]:
    return {
        "model": "m", "instructions": text,
        "input": [
            {"type": "function_call", "call_id": "t", "name": "f", "arguments": json.dumps({"command": text})},
            {"type": "custom_tool_call", "call_id": "u", "name": "exec", "input": text},
            {"type": "function_call_output", "call_id": "t", "output": text},
        ],
    }  # fmt: skip


FORMATS = [
    (anthropic.FORMAT, anthropic_document),
    (openai_chat.FORMAT, chat_document),
    (openai_responses.FORMAT, responses_document),
]


@pytest.mark.parametrize(("format", "document"), FORMATS, ids=lambda value: getattr(value, "name", ""))
async def test_requests_of_every_format(format: Any, document: Any):
    text = f'say "{KEY}"\nand go'
    given = format.read_request(json.dumps(document(text)).encode())
    out = await guard().on_request(given, exchange_of(given))
    digest = (await placed(KEY)).partition(" ")[0]
    assert out.document == document(text.replace(KEY, digest))
    clean = format.read_request(json.dumps(document("nothing here")).encode())
    assert await guard().on_request(clean, exchange_of(clean)) is clean


async def placed(secret: str) -> str:
    (out,) = await guard().on_event(TextDelta(block=NEW_BLOCK, text=f"{secret} "), exchange_of())
    assert isinstance(out, TextDelta)
    return out.text


async def test_placeholders_are_stable_and_readable():
    assert await placed(KEY) == await placed(KEY)
    assert (await placed(KEY)).startswith("[secret:github-token:")
    assert await placed(made("gh" + "p_", 36, 5)) != await placed(KEY)
    assert await placed("DB_PASSWORD=kR9#vT2!mQ7x") == "DB_PASSWORD=[secret:password] "


async def test_arguments_stay_json():
    arguments = json.dumps({"content": f'PW="x"\nTOKEN={KEY}\n', "password": "kR9#vT2!mQ7x", "n": 1}, indent=1)
    (out,) = await guard().on_event(ToolCall(block=1, id="c", name="Write", arguments=arguments), exchange_of())
    assert isinstance(out, ToolCall)
    digest = (await placed(KEY)).strip()
    changed = {"content": f'PW="x"\nTOKEN={digest}\n', "password": "[secret:password]", "n": 1}
    assert json.loads(out.arguments) == changed


async def test_arguments_named_in_a_request():
    document = anthropic_document("x")
    document["messages"][0]["content"][0]["input"] = {"password": "kR9#vT2!mQ7x"}
    given = anthropic.FORMAT.read_request(json.dumps(document).encode())
    out = await guard().on_request(given, exchange_of(given))
    assert out.document["messages"][0]["content"][0]["input"] == {"password": "[secret:password]"}


async def test_what_is_clean_is_the_same_object():
    call = ToolCall(block=1, id="c", name="Write", arguments='{"a" : "b"}')
    text = TextDelta(block=0, text="Nothing to see here. ")
    assert list(await guard().on_event(call, exchange_of())) == [call]
    (out,) = await guard().on_event(text, exchange_of())
    assert out is text


async def test_a_blocked_call_shows_nothing_of_the_secret():
    x = exchange_of()
    call = ToolCall(block=1, id="c", name="Bash", arguments=json.dumps({"command": f"echo {KEY}", "description": KEY}))
    out = await passed(pipeline(x, arguments="block"), [call, MessageEnd(stop_reason="tool_use")])
    shown = " ".join(getattr(event, "arguments", "") + getattr(event, "text", "") for event in out)
    assert "Blocked by the Lockgate rule secrets" in shown
    assert KEY not in shown
    assert KEY[6:20] not in shown
    assert x.concealed == {KEY: (await placed(KEY)).strip()}


async def test_a_blocked_request_and_text():
    given = anthropic.FORMAT.read_request(json.dumps(anthropic_document(KEY)).encode())
    with pytest.raises(Refused, match=r"a credential \(github-token\) in this request") as caught:
        await pipeline(exchange_of(given), requests="block").request(given)
    assert KEY not in str(caught.value)
    with pytest.raises(Refused, match="in this text"):
        await passed(pipeline(text="block"), [TextDelta(block=0, text=f"it is {KEY}"), BlockEnd(block=0)])


async def test_an_alert_changes_nothing_and_is_recorded():
    given = anthropic.FORMAT.read_request(json.dumps(anthropic_document(KEY)).encode())
    x = exchange_of(given)
    assert (await pipeline(x, requests="alert").request(given)).document == given.document
    (decision,) = x.decisions
    assert (decision.action, decision.score, decision.reason) == (
        "forwarded",
        1.0,
        "found in the request: github-token",
    )


async def test_what_is_off_is_not_looked_at():
    assert guard().sees(guard(text="off", arguments="off").options) == {"request"}
    with pytest.raises(ConfigError, match="it does nothing"):
        guard(requests="off", text="off", arguments="off")


async def test_what_is_allowed_stays():
    (out,) = await guard(allow=["^gh"]).on_event(TextDelta(block=NEW_BLOCK, text=f"{KEY} "), exchange_of())
    assert isinstance(out, TextDelta)
    assert out.text == f"{KEY} "


def test_every_rule_of_ours_stays_within_a_word():
    for rule in load_secret_rules(OWN_RULES):
        assert rule.keywords
        assert all(keyword == keyword.lower() for keyword in rule.keywords)
        assert "\\s" not in str(rule.regex.pattern)


def test_a_password_is_not_lost_to_chance():
    """Of values that chance makes, of any alphabet that issuers use, next to none looks like a word."""
    chance = random.Random(3)
    for alphabet, chars in (
        (string.ascii_letters + string.digits, 20),
        (string.hexdigits[:16], 32),
        (string.ascii_lowercase + string.digits, 32),
        (string.ascii_letters + string.digits + "+/", 32),
        (string.ascii_letters + string.digits + "-_", 40),
    ):
        values = ["".join(chance.choices(alphabet, k=chars)) for _ in range(1000)]
        assert sum(value in redacted(f"API_TOKEN={value}") for value in values) <= 8
