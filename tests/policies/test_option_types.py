"""Options with which a rule could do nothing, or never what it says, are refused with a sentence that names them."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.errors import ConfigError
from tests.policies.conversing import rule

NOTHING = "as it stands it does nothing: give one of"


@pytest.mark.parametrize(
    ("use", "options", "sentence"),
    [
        ("context_guard", {}, f"{NOTHING} bytes, characters,"),
        ("model_guard", {}, f"{NOTHING} allow, deny, map,"),
        ("model_guard", {"clamp": {"max_tokens": {}}}, f"'clamp.max_tokens': {NOTHING} least, most"),
        ("model_guard", {"map": {"a": "b"}, "deny": ["b*"]}, "'map' leads to b, which"),
        ("model_guard", {"map": {"a": "b"}, "allow": ["c"]}, "'map' leads to b, which"),
        ("model_guard", {"set": {"store": False}, "remove": ["store"]}, "'remove' names store"),
        ("secret_guard", dict.fromkeys(("requests", "text", "arguments"), "off"), f"{NOTHING} requests, text"),
        ("secret_guard", dict.fromkeys(("issuers", "named", "credentials"), False), f"{NOTHING} issuers,"),
        ("secret_guard", {"roles": []}, "option 'roles': it needs 1 or more"),
        ("link_exfiltration", {"text": "off"}, f"{NOTHING} requests, text, arguments"),
        ("pii", {"kinds": []}, "option 'kinds': it needs 1 or more"),
        ("reversible_redaction", {"secrets": False, "kinds": []}, f"{NOTHING} secrets, kinds"),
        ("tool_definitions", dict.fromkeys(("drift", "hidden", "shadowing", "lookalike"), "allow"), NOTHING),
        ("tool_definitions", {"unpinned": "deny"}, "name the file of pinned tools in 'pins_file'"),
        ("tool_schema", dict.fromkeys(("undeclared", "unfit", "unreadable", "unusable"), "allow"), NOTHING),
        ("history_integrity", {"altered": "allow", "foreign": "allow"}, NOTHING),
        ("test_tampering", dict.fromkeys(("deleting", "skipping", "weakening", "silencing"), False), NOTHING),
        ("loop_breaker", {"same": 0, "near": 0, "at_once": 0}, NOTHING),
        ("rewrite_call", {"rewrites": []}, "option 'rewrites': it needs 1 or more"),
        ("claim_check", {"threshold": 0.95}, "option 'threshold': it has to be at most 0.9"),
    ],
)
def test_options_that_do_nothing(use: str, options: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError) as caught:
        rule(use, **options)
    assert sentence in str(caught.value)


def test_none_at_all_is_a_bound():
    assert rule("context_guard", tools=0).options.tools == 0


@pytest.mark.parametrize(("use", "meant"), [("secretguard", "secret_guard"), ("claim-check", "claim_check")])
def test_a_policy_that_is_nearly_named(use: str, meant: str):
    with pytest.raises(ConfigError) as caught:
        rule(use)
    assert f"unknown policy '{use}' (did you mean '{meant}'?); there are: " in str(caught.value)


def test_a_policy_without_options_says_so():
    with pytest.raises(ConfigError) as caught:
        rule("noop", text="x")
    assert str(caught.value).endswith("unknown option 'text'; it takes: no options")
