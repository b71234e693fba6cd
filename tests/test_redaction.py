from __future__ import annotations

import hashlib

import pytest

from lockgate.redaction import redact_headers, redact_query

SECRET = "sk-ant-0123456789abcdef"
PRINT = f"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()[:8]}…"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Authorization", f"Bearer {SECRET}", f"Bearer {PRINT}"),
        ("authorization", f"bearer   {SECRET} ", f"bearer {PRINT}"),
        ("authorization", SECRET, PRINT),
        ("Proxy-Authorization", f"Basic {SECRET}", f"Basic {PRINT}"),
        ("x-api-key", SECRET, PRINT),
        ("api-key", SECRET, PRINT),
        ("X-Goog-Api-Key", SECRET, PRINT),
        ("cookie", SECRET, PRINT),
        ("Set-Cookie", SECRET, PRINT),
        ("x-amz-security-token", SECRET, PRINT),
        ("x-client-secret", SECRET, PRINT),
        ("x-credential", SECRET, PRINT),
        ("x-api-key", "", ""),
        ("content-type", "application/json", "application/json"),
        ("openai-organization", "org-1", "org-1"),
        ("anthropic-ratelimit-tokens-remaining", "1000", "1000"),
        ("x-ratelimit-reset-tokens", "6ms", "6ms"),
        ("www-authenticate", 'Bearer realm="x"', 'Bearer realm="x"'),
    ],
)
def test_a_credential_keeps_its_scheme_and_a_fingerprint(name: str, value: str, expected: str) -> None:
    assert redact_headers([(name, value)]) == [(name, expected)]


def test_what_looks_like_a_scheme_is_redacted_unless_it_is_one() -> None:
    ((_, value),) = redact_headers([("cookie", f"{SECRET} rest")])
    assert SECRET not in value


def test_order_and_repetition_are_kept() -> None:
    headers = [("a", "1"), ("x-api-key", SECRET), ("a", "2")]
    assert [name for name, _ in redact_headers(headers)] == ["a", "x-api-key", "a"]


def test_equal_keys_have_equal_prints_and_others_differ() -> None:
    (_, one), (_, same), (_, other) = redact_headers([("api-key", "k1"), ("x-api-key", "k1"), ("api-key", "k2")])
    assert one == same != other


def test_characters_that_no_encoding_has_are_redacted_too() -> None:
    ((_, value),) = redact_headers([("x-api-key", "\udcff")])
    assert value.startswith("sha256:")


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "client_secret", "X-Amz-Signature", "password"])
def test_a_query_parameter_with_a_credential_is_redacted(name: str) -> None:
    assert redact_query([("alt", "sse"), (name, SECRET)]) == [("alt", "sse"), (name, PRINT)]
