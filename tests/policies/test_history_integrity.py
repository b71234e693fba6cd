"""`history_integrity`."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from lockgate.config import RuleConfig
from lockgate.policies.history_integrity import SENTENCES, WHY
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import load_rules
from lockgate.records import Attested
from tests.policies.chains import exchange_of, request_of


def pipeline(attested: Any, **options: Any) -> Pipeline:
    rule = {"name": "r", "use": "history_integrity", "with": options}
    return Pipeline(load_rules([RuleConfig.model_validate(rule)]), exchange_of(attested=attested))


def test_every_state_but_the_good_ones_has_its_words():
    assert set(WHY) == set(SENTENCES) == set(get_args(Attested.__value__)) - {"", "attested"}


@pytest.mark.parametrize(
    ("attested", "alerts"),
    [("attested", 0), ("", 0), ("compacted", 0), ("unknown", 0), ("foreign", 1), ("altered", 1)],
)
async def test_by_default_what_is_wrong_is_kept_and_nothing_stopped(attested: str, alerts: int):
    rule, request = pipeline(attested), request_of()
    assert await rule.request(request) is request
    assert [(one.action, one.score) for one in rule.x.decisions] == [("forwarded", 1.0)] * alerts
    assert all(one.reason.startswith(attested) for one in rule.x.decisions)
    assert not rule.judges_reply


@pytest.mark.parametrize("attested", list(WHY))
async def test_each_state_can_be_denied(attested: str):
    rule = pipeline(attested, **{attested: "deny"})
    with pytest.raises(Refused, match=SENTENCES[attested].split(":")[0]):
        await rule.request(request_of())
    [decision] = rule.x.decisions
    assert (decision.action, decision.reason) == ("blocked", f"{attested}: {WHY[attested]}")
    with pytest.raises(Refused, match="Not like this"):
        await pipeline(attested, **{attested: "deny", "sentence": "Not like this."}).request(request_of())
    assert await pipeline("attested", **{attested: "deny"}).request(request := request_of()) is request


async def test_a_rule_matches_what_the_history_is():
    rule = {"name": "r", "use": "refuse", "match": {"attested": ["foreign", "altered"], "purpose": ""}}
    for attested, refused in (("foreign", True), ("altered", True), ("attested", False), ("compacted", False)):
        made = Pipeline(load_rules([RuleConfig.model_validate(rule)]), exchange_of(attested=attested))
        if not refused:
            assert await made.request(request := request_of()) is request
            continue
        with pytest.raises(Refused):
            await made.request(request_of())
