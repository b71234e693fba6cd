"""Strings in a JSON text are changed and nothing else is; what stands beside them is looked at without their length."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.config import RuleConfig
from lockgate.events import ToolCall
from lockgate.policies.json_strings import changed_strings, shortened
from lockgate.policies.pipeline import Pipeline
from lockgate.policies.registry import load_rules
from tests.policies.chains import exchange_of

KEY = "ghp_" + "zX4kQ9vT7mLw2RbNc8Jd5HyPs3Fg6Ka1Ue0B"
VALUES = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES, st.sampled_from([None, 1]))
def test_every_string_and_no_key(value: Any, indent: int | None):
    seen = list[str]()
    text = json.dumps(value, indent=indent)
    assert changed_strings(text, lambda string: (seen.append(string), string)[1]) == text
    assert json.loads(changed_strings(text, lambda string: "x")) == _replaced(value)
    assert seen == _strings(value)


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one) for key, one in value.items()}
    return [_replaced(one) for one in value] if isinstance(value, list) else "x" if isinstance(value, str) else value


def _strings(value: Any) -> list[str]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] if isinstance(value, str) else [one for part in parts for one in _strings(part)]


def test_long_strings_keep_their_beginning():
    text = json.dumps({"name": "x" * 50, "n": [1, "short"]})
    assert shortened(text, 20) == f'{{"name": "{"x" * 19}, "n": [1, "short"]}}'


@pytest.mark.parametrize("act", ["redact", "block"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"content": f"{'a = 1 ' * 5_000}\ntoken = '{KEY}'\n"},
        {"content": "a = 1 " * 5_000, "password": "kR9#vT2!mQ7x"},
        {"password": "kR9#vT2!mQ7x", "content": "a = 1 " * 5_000},
    ],
)
async def test_nothing_gets_by_in_long_arguments(act: str, arguments: dict[str, Any]):
    config = {"name": "r", "use": "secret_guard", "with": {"arguments": act}}
    pipeline = Pipeline(load_rules([RuleConfig.model_validate(config)]), exchange_of())
    out = await pipeline.reply((ToolCall(block=1, id="c", name="Write", arguments=json.dumps(arguments)),))
    assert KEY not in str(out)
    assert "kR9#vT2!mQ7x" not in str(out)
