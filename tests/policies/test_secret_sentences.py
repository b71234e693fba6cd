"""Secrets in sentences, lists and answers: what is found, what stays, and that no cut of the text changes it."""

from __future__ import annotations

import random

import pytest

from lockgate.policies.secret_rules import own_rules
from lockgate.policies.secret_scan import SecretDetector
from lockgate.policies.spans import SpanWindow, replaced

DETECTOR = SecretDetector(own_rules())
TOKEN = "".join(random.Random(7).choices("abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPRSTUVWXYZ23456789", k=32))
CHOSEN = "Har" + "bor.Gar" + "net_782"
SIGNED = "Wal" + "nut@58" + "13!x"
JUMBLED = "NGQ" + "pqad" + "wDO"


def whole(text: str) -> str:
    return replaced(text, 0, len(text), DETECTOR.spans(text, 0, len(text)), lambda kind, _: "<>")


def streamed(pieces: list[str]) -> str:
    window = SpanWindow(DETECTOR, lambda kind, _: "<>")
    return "".join(map(window.receive_text, pieces)) + window.end()


TOLD = {
    "as": f"Please use {CHOSEN} as the password, then tell me.",
    "is": f"{TOKEN} is the staging API key, do not commit it.",
    "aside": f"I send {TOKEN} (my access token) with it",
    "comment": f"{SIGNED}  # root password",
    "asked": f"just type {SIGNED} when sudo asks for your password",
    "between": f"The secret between both ends is {TOKEN}.",
    "rotated": f"The password was rotated yesterday; it is now {CHOSEN}.",
    "answer": f"anna: what's the db pw again?\nben: {SIGNED}\nanna: thanks",
    "printed": f"$ terraform output -raw db_password\n{TOKEN}",
    "list": f'{{"apiKeys": ["{TOKEN}"]}}',
    "items": f"api_keys:\n  - {TOKEN}\n",
    "member": f'{{"Name": "/prod/db/password", "Type": "SecureString", "Value": "{TOKEN}"}}',
    "folded": f"auth_token: >-\n  {TOKEN}\n",
    "jumbled": f'password = "{JUMBLED}"',
    "abroad": f"La clé API est {TOKEN}.",
}


@pytest.mark.parametrize("name", TOLD)
def test_a_secret_in_a_sentence_is_found_at_every_cut(name: str):
    text, out = TOLD[name], whole(TOLD[name])
    assert "<>" in out
    assert not any(secret in out for secret in (TOKEN, CHOSEN, SIGNED, JUMBLED))
    assert streamed([*text]) == out
    for at in range(1, len(text)):
        assert streamed([text[:at], text[at:]]) == out


@pytest.mark.parametrize(
    "text",
    [
        "0fd1b2c3a49e8d7f6a5b4c3d2e1f0a9b8c7d6e5f is the commit that broke the token refresh",
        "use SCRAM-SHA-256 as the password method",
        "import OAuth2Client as Token",
        "what is the token limit?\nGPT4Turbo has 128k",
        "secrets:\n  - db_password\n  - api_key_2",
        "tokens: ['<s>', '</s>', '[UNK12]']",
        "the password is in 1Password (item DB-Prod-2)",
        "cancellation token 6f9619ff-8b86-4d01-b42d-00cf4fc964ff cancelled",
        "$ openssl rand -help\nUsage: rand [options] num",
        "checkPasswordOnly:i}){super({start(){Object.assign(this)}})",
    ],
    ids=lambda text: text[:16],
)
def test_what_only_looks_so_stays(text: str):
    assert whole(text) == text
    assert streamed([*text]) == text


def test_a_word_that_is_no_secret_is_held_no_longer_than_its_name_could_follow():
    window = SpanWindow(DETECTOR, lambda kind, _: "<>")
    text = f"{TOKEN} fixes it. And so on"
    assert window.receive_text(text).startswith(f"{TOKEN} fixes it.")
