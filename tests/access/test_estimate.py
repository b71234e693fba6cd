"""What requests will take, about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.access import estimate
from lockgate.wire.whole import format_of

SAID: dict[str, dict[str, Any]] = {
    "anthropic": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "12345678"}]},
    "openai-chat": {"model": "m", "messages": [{"role": "user", "content": "12345678"}]},
    "openai-responses": {"model": "m", "input": "12345678"},
}


@pytest.mark.parametrize("name", SAID)
def test_texts_are_counted_and_images_are_not(name: str):
    request = format_of(name).read_request(json.dumps(SAID[name]).encode())
    assert estimate.input_tokens(request) == 2


def test_bytes_of_other_scripts_are_counted():
    document = SAID["openai-responses"] | {"input": "漢字漢字"}
    request = format_of("openai-responses").read_request(json.dumps(document).encode())
    assert estimate.input_tokens(request) == 3


@pytest.mark.parametrize(
    ("document", "tokens"),
    [
        ({}, estimate.REPLY_TOKENS),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7, "n": 3}, 21),
        ({"max_output_tokens": 7}, 7),
        ({"max_tokens": None, "max_completion_tokens": 8}, 8),
        ({"max_tokens": -1}, estimate.REPLY_TOKENS),
        ({"max_tokens": True, "n": "9"}, estimate.REPLY_TOKENS),
        ({"max_tokens": 1.5}, estimate.REPLY_TOKENS),
    ],
)
def test_the_longest_reply_that_a_request_allows(document: Any, tokens: int):
    assert estimate.output_tokens(document) == tokens


@pytest.mark.parametrize(
    ("document", "count"), [({"messages": [1, 2]}, 2), ({"input": "hi"}, 1), ({"input": [1]}, 1), ({}, 0)]
)
def test_messages_of_a_request(document: Any, count: int):
    assert estimate.messages(document) == count
