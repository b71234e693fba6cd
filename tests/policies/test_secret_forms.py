"""Secrets that the form around them tells: sentences, pipes, columns; the same at every cut."""

from __future__ import annotations

import base64

import pytest

from tests.policies.test_secret_guard import made, redacted, streamed

FORMS = [
    "auth=('bob', 'KEY')",
    "Your new token (shown once):\n\n    KEY\n",
    "| API key | `KEY` |",
    "пароль: KEY",
    "Client('account', 'KEY')",
    '{"kty":"oct","k":"KEYx8Tq2VbN4mZr7LpW"}',
    "kind: Secret\ndata:\n  config: ENCODED",
    "Cookie: lang=de; session_id=KEY",
    "https://flow.test/webhook/KEY",
    "NESTED",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(8))
def test_what_the_form_around_it_gives_away(form: str, seed: int):
    """Chance makes some keys look like words: no way of writing one depends on which key it is."""
    key = made("", 32, seed)
    encoded, nested = (base64.b64encode(text.encode()).decode() for text in (key, f"password = {key}"))
    text = form.replace("KEY", key).replace("ENCODED", encoded).replace("NESTED", nested) + " end"
    assert not any(shown in redacted(text) for shown in (key, encoded, nested))
    assert streamed(list(text)) == redacted(text)


@pytest.mark.parametrize("beginning", ["b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW", ""])
def test_a_private_key_of_any_beginning(beginning: str):
    lines = "\n".join([beginning, *(made("", 64, seed) for seed in range(5))])
    text = f"{'-' * 5}BEGIN OPENSSH PRIVATE KEY-----\n{lines}\n-----END OPENSSH PRIVATE KEY-----"
    assert redacted(text) == "<private-key>"


def test_a_wallets_words():
    words = "ripple lunar basket oyster canyon velvet mirror tundra pencil harbor saddle comet"
    assert redacted(f"my seed phrase: {words}. Keep it") == "my seed phrase: <seed-phrase>. Keep it"
    assert streamed(list(f"my seed phrase: {words}. Keep it")) == "my seed phrase: <seed-phrase>. Keep it"
    prose = "A seed phrase is made from twelve words that the wallet shows once and nobody else may ever see."
    assert redacted(prose) == prose


PIPED = [
    ("run echo 'KEY' | sudo -S apt update", True),
    ('echo "bob:KEY" | chpasswd', True),
    ('{"command": "cd x\\necho KEY | sudo -S make\\n"}', True),
    ("echo KEY | tee out.txt", False),
    ("the echo of KEY | sudo -S", False),
    ("echo\tKEY | sudo -S x", False),
    ("echo KEY |\nsudo -S x", False),
    ("echo " + " " * 300 + "KEY | sudo -S x", False),
]


@pytest.mark.parametrize(("form", "found"), PIPED)
def test_what_is_piped_into_what_asks_for_it(form: str, found: bool):
    """What follows a password tells that it is one: the command is held back until that is there."""
    text = form.replace("KEY", "Vr29*!m8vL6X")
    assert ("Vr29" not in redacted(text)) is found
    for size in (1, 2, 3, 7, 20):
        assert streamed([text[at : at + size] for at in range(0, len(text), size)]) == redacted(text)
    for cut in range(len(text)):
        assert streamed([text[:cut], text[cut:]]) == redacted(text)


COLUMNS = [
    "| user | password |\n|---|---|\n| ann | KEY |\n| bob | x |",
    "name,email,password\nann,a@acme.io,KEY\n",
    "name;login;password\nshop;admin;KEY",
    " id | api_key \n----+---------\n  1 | KEY\n",
    "INSERT INTO users (id, email, api_token) VALUES (1, 'a@acme.io', 'KEY'), (2, 'b@acme.io', 'x');",
]


@pytest.mark.parametrize("form", COLUMNS)
def test_columns_whose_heading_says_so(form: str):
    text = f"See:\n{form} end"
    key = made("", 24, 3)
    assert key not in redacted(text.replace("KEY", key))
    for cut in range(len(text) + 20):
        given = text.replace("KEY", key)
        assert streamed([given[:cut], given[cut:]]) == redacted(given)
