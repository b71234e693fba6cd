"""What a grant lets through."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.access.allowed import Reach, normal_path, refusal
from lockgate.access.grant import Allow


def reach(**fields: Any) -> Reach:
    known: dict[str, Any] = {
        "provider": "anthropic", "host": "api.anthropic.com", "method": "POST", "path": "/v1/messages",
        "client": "10.1.2.3", "model": "claude-x", "document": {"model": "claude-x", "max_tokens": 1},
    }  # fmt: skip
    return Reach(**{**known, **fields})


@pytest.mark.parametrize(
    ("allow", "asked", "refused"),
    [
        ({}, {}, ""),
        ({"providers": ["anthropic"]}, {}, ""),
        ({"providers": ["api.anthropic.com"]}, {}, ""),
        ({"providers": ["openai"]}, {}, "for api.anthropic.com"),
        ({"models": ["gpt-*", "claude-*"]}, {}, ""),
        ({"models": ["gpt-*"]}, {}, "for the model claude-x"),
        ({"models": ["gpt-*"]}, {"model": ""}, "for the model that it does not name"),
        ({"models": ["gpt-*"]}, {"document": {}, "model": ""}, ""),
        ({"methods": ["get"]}, {}, "with the method POST"),
        ({"methods": ["post"]}, {"method": "post"}, ""),
        ({"addresses": ["10.0.0.0/8"]}, {}, ""),
        ({"addresses": ["10.1.2.3"]}, {"client": "::ffff:10.1.2.3"}, ""),
        ({"addresses": ["10.1.2.4", "fe80::/10"]}, {}, "from this address"),
        ({"addresses": ["0.0.0.0/0"]}, {"client": ""}, "from this address"),
        ({"origins": ["https://a.example"]}, {}, ""),
        ({"origins": ["https://a.example"]}, {"origin": "https://a.example.evil"}, "from a page of this origin"),
        ({"parameters": {"service_tier": ["auto", None]}}, {}, ""),
        ({"parameters": {"max_tokens": [1, 2]}}, {}, ""),
        ({"parameters": {"max_tokens": [True]}}, {}, "with this value of 'max_tokens'"),
        ({"parameters": {"max_tokens": ["*"]}}, {}, "with this value of 'max_tokens'"),
        ({"parameters": {"model": ["claude-*"]}}, {}, ""),
        ({"parameters": {"tools.*.type": ["function"]}}, {"document": {"tools": [{"type": "function"}, {}]}}, ""),
        (
            {"parameters": {"tools.type": ["function"]}},
            {"document": {"tools": [{"type": "function"}, {"type": "web_search"}]}},
            "with this value of 'tools.type'",
        ),
    ],
)  # fmt: skip
def test_what_is_allowed(allow: dict[str, Any], asked: dict[str, Any], refused: str):
    assert refusal(Allow.model_validate(allow), reach(**asked)) == refused


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("/v1/messages", "/v1/messages?beta=true", True),
        ("/v1/messages", "/v1/messages/", True),
        ("/v1/messages", "/v1//messages", True),
        ("/v1/messages", "/v1/%6dessages", True),
        ("/v1/messages", "/v1/messages/batches", False),
        ("/v1/messages", "/v1/messages-evil", False),
        ("/v1/messages", "/v1/messages/../files", False),
        ("/v1/messages", "/v1/messages/%2e%2e/files", False),
        ("/v1/messages", "/v1/messages/%252e%252e/files", False),
        ("/v1/messages", "/v1/messages\\..\\files", False),
        ("/v1/messages", "/v1/messages%00", False),
        ("/v1/messages", "/v1/files/../messages", True),
        ("/v1/files/*", "/v1/files/file_1", True),
        ("/v1/files/*", "/v1/files", False),
        ("/v1/files/*", "/v1/files/file_1/content", False),
        ("/v1/files/**", "/v1/files/file_1/content", True),
        ("/v1/*.json", "/v1/xjson", False),
        ("/v1/messages", "http://evil/v1/messages", False),
    ],
)
def test_endpoints_are_compared_as_a_server_reads_them(glob: str, path: str, fits: bool):
    assert (refusal(Allow(endpoints=(glob,)), reach(path=path)) == "") is fits


def test_a_path_that_is_not_utf_8_is_unclear():
    assert normal_path("/v1/%ff%fe") is None
