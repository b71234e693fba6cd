from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import Error
from lockgate.usage import tokens
from lockgate.usage.tokens import FILES, RANKS, count_tokens, encoding_for

SHA256 = {  # as tiktoken itself expects them
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


@pytest.mark.parametrize("name", FILES)
def test_the_rank_files_are_the_published_ones(name: str) -> None:
    assert hashlib.sha256((RANKS / FILES[name]).read_bytes()).hexdigest() == SHA256[name]


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-5", "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("claude-x", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("GPT-3.5-turbo", "cl100k_base"),
    ],
)
def test_a_model_has_its_encoding(model: str, encoding: str) -> None:
    assert encoding_for(model).name == encoding


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ([], 0),
        (["hello world"], 2),
        (["hello world", "hello world"], 4),
        (["<|endoftext|>"], 7),  # what looks like a special token is text
        (["\ud800"], 1),
    ],
)
def test_tokens_are_counted(texts: list[str], count: int) -> None:
    assert count_tokens(texts, "gpt-5") == count


def test_what_is_too_long_is_counted_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "COUNTED_CHARACTERS", 1_200)
    assert count_tokens(["hello " * 1000], "gpt-5") == pytest.approx(1001, abs=5)


def test_counting_asks_no_network_and_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = dict(os.environ)
    tokens._encoding.cache_clear()
    assert count_tokens(["hello world"], "gpt-4") == 2
    assert dict(os.environ) == before


def test_missing_ranks_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tokens, "RANKS", tmp_path)
    tokens._encoding.cache_clear()
    with pytest.raises(Error, match=r"tokens cannot be counted: .* is missing; install Lockgate anew"):
        count_tokens(["x"], "gpt-5")
