"""Tokens as text."""

from __future__ import annotations

import re

import pytest

from lockgate.access.token import TOKEN_CHARACTERS, claims_token, hint, is_token, make_token


def test_a_token_is_what_it_is_said_to_be():
    token = make_token()
    assert re.fullmatch(r"lg_[0-9A-Za-z]{38}", token)
    assert len(token) == TOKEN_CHARACTERS
    assert is_token(token)
    assert len({make_token() for _ in range(100)}) == 100


def test_every_single_mistyped_or_swapped_character_is_known():
    token = make_token()
    for place in range(3, TOKEN_CHARACTERS):
        wrong = "a" if token[place] != "a" else "b"
        assert not is_token(token[:place] + wrong + token[place + 1 :])
    for place in range(3, TOKEN_CHARACTERS - 1):
        swapped = token[:place] + token[place + 1] + token[place] + token[place + 2 :]
        assert swapped == token or not is_token(swapped)


@pytest.mark.parametrize(
    "text",
    ["", "lg_", "lg_" + "a" * 38, "lg_" + "ä" * 38, "lg_" + "٣" * 38, "LG_" + "a" * 38, "sk-ant-api03-abc", "lg_\n"],
)
def test_what_is_no_token(text: str):
    assert not is_token(text)


def test_a_token_with_anything_around_it_is_none():
    token = make_token()
    assert [is_token(text) for text in (token + "\n", " " + token, token + "a", token[:-1])] == [False] * 4


def test_what_means_to_be_a_token_is_told_from_other_keys():
    assert claims_token("lg_cut")
    assert not claims_token("sk-lg_cut")


def test_a_hint_tells_a_few_characters():
    assert hint("lg_abcdefgh") == "lg_abcd…"
