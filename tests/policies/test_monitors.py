"""Monitors asked together: how their scores make one, and what follows where one gives none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import Event, ToolCall
from lockgate.policies.base import Heard
from lockgate.policies.monitors import MonitorConfig, make_panel
from lockgate.policies.pipeline import Pipeline
from lockgate.policies.registry import load_rules
from tests.addons.scoring import ByNumber
from tests.policies.chains import exchange_of, passed

ME = "tests.addons.scoring"
NUMBER = {"use": f"{ME}:ByNumber", "name": "number"}
LATE = {"use": f"{ME}:Late", "name": "late", "deadline_seconds": 0.001}


def refuses(pattern: str, name: str = "words") -> dict[str, Any]:
    return {"use": "refuse", "name": name, "with": {"what": ["calls"], "pattern": pattern}}


def pipeline(
    *monitors: Any, steps: Any = ({"at": 0.5, "do": "block"},), on_error: str = "block", **options: Any
) -> Pipeline:
    given = {"monitors": monitors, "steps": steps, **options}
    rule = {"name": "p", "use": "protocol", "on_error": on_error, "with": given}
    return Pipeline(load_rules([RuleConfig.model_validate(rule)]), exchange_of())


def call(command: str) -> ToolCall:
    return ToolCall(block=0, id="c", name="Tool", arguments=json.dumps({"x": command}))


async def scores(rules: Pipeline, said: str) -> tuple[float | None, bool, dict[str, float | None]]:
    """The rule's score, whether the call passed, and what each monitor said."""
    given: list[Event] = [call(said)]
    out = await passed(rules, given)
    own = next(d for d in rules.x.decisions if d.rule == "p")
    return own.score, out == given, {d.rule: d.score for d in rules.x.decisions if d.rule != "p"}


@pytest.mark.parametrize(
    ("options", "said", "expected"),
    [
        ({}, "0.3 evil", (1.0, False)),
        ({}, "0.3", (0.3, True)),
        ({"combine": "mean"}, "0.2 evil", (0.4, True)),
        ({"combine": "mean"}, "0.4 evil", (0.55, False)),
    ],
)
async def test_scores_make_one(options: Any, said: str, expected: tuple[float, bool]) -> None:
    weight = {"weight": 3} if options else {}
    rules = pipeline({**NUMBER, **weight}, refuses("evil"), **options)
    score, went_on, heard = await scores(rules, said)
    assert (round(score or 0, 6), went_on) == expected
    assert heard == {"p/number": float(said.split()[0]), "p/words": 1.0 if "evil" in said else 0.0}


@pytest.mark.parametrize(("said", "asked"), [("0.1", 1), ("0.2", 2), ("0.79", 2), ("0.8", 1)])
async def test_a_cascade_asks_the_dearer_one_only_while_it_is_uncertain(said: str, asked: int) -> None:
    rules = pipeline(NUMBER, refuses("never"), combine="cascade", uncertain=(0.2, 0.8))
    score, _, heard = await scores(rules, said)
    assert len(heard) == asked
    assert score == (float(said) if asked == 1 else 0.0)


@pytest.mark.parametrize("combine", ["max", "mean", "cascade"])
@pytest.mark.parametrize("bad", [LATE, {**NUMBER, "name": "late"}])
async def test_a_monitor_that_has_to_be_heard_fails_the_rule(combine: str, bad: Any) -> None:
    said = "0.1 down"
    for on_error in ("block", "forward"):
        rules = pipeline(bad, refuses("x"), combine=combine, on_error=on_error)
        out = await passed(rules, [call(said)])
        assert (out == [call(said)]) is (on_error == "forward")
        assert any("monitor 'late' gave no score" in d.reason for d in rules.x.decisions if d.rule == "p")
        assert [d.action for d in rules.x.decisions if d.rule == "p/late"] == ["failed"]


@pytest.mark.parametrize("combine", ["max", "mean", "cascade"])
async def test_a_late_monitor_may_be_left_out(combine: str) -> None:
    rules = pipeline({**LATE, "on_error": "forward"}, NUMBER, combine=combine)
    assert await scores(rules, "0.4") == (0.4, True, {"p/late": None, "p/number": 0.4})


async def test_without_any_score_the_rule_fails() -> None:
    rules = pipeline({**LATE, "on_error": "forward"})
    assert await passed(rules, [call("0")]) != [call("0")]
    assert "no monitor gave a score: no score within 0.001 s" in rules.x.decisions[-1].reason


async def test_a_text_is_scored_by_those_that_have_a_score_for_it() -> None:
    monitors = [MonitorConfig.model_validate(one) for one in (LATE, refuses("x"), NUMBER)]
    heard: list[Heard] = []
    panel = make_panel(monitors, ["calls", "text"], "max", (0.2, 0.8))
    assert (await panel.score("0.4", exchange_of(), heard)).score == 0.4
    assert [one.monitor for one in heard] == ["number"]


@pytest.mark.parametrize(("options", "seconds"), [
    ({}, 30),
    ({"monitors": [{**NUMBER, "deadline_seconds": 60}]}, 60),
    ({"steps": [{"at": 0.5, "do": "resample"}]}, 20 + 120 + 20),
    ({"monitors": [NUMBER, refuses("x")], "combine": "cascade", "timeout_seconds": 10,
      "steps": [{"at": 0.5, "do": "defer"}], "trusted": {"model": "m"}}, 40 + 10 + 40),
    ({"steps": [{"at": 0.5, "do": "approve"}]}, 330),
], ids=["usual", "slow", "resample", "cascade", "person"])  # fmt: skip
def test_a_rule_has_the_time_that_its_options_may_take(options: dict[str, Any], seconds: float) -> None:
    given = {"monitors": [NUMBER], "steps": [{"at": 0.5, "do": "block"}], **options}
    rules = load_rules([RuleConfig.model_validate({"name": "p", "use": "protocol", "with": given})])
    assert [rule.deadline_seconds for rule in rules.rules] == [seconds]


async def test_the_same_call_is_scored_once_in_an_exchange() -> None:
    ByNumber.asked.clear()
    await passed(pipeline(NUMBER), [call("0.1"), call("0.1")])
    assert len(ByNumber.asked) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": [{"at": 1.2, "do": "block"}]}, "it has to be at most 1"),
        ({"steps": [{"at": 0, "do": "block"}, {"at": 0, "do": "flag"}]}, "two steps begin at 0"),
        ({"steps": [{"at": 0.2, "do": "block"}, {"at": 0.9, "do": "flag"}]}, "a higher score would let more pass"),
        ({"steps": [{"at": 0.5, "do": "block"}, {"at": 0.5, "do": "flag"}]}, "two steps begin at 0.5"),
        ({"steps": []}, "steps"),
        ({"combine": "cascade"}, "a cascade needs two monitors"),
        ({"monitors": [NUMBER, refuses("x")], "combine": "cascade", "uncertain": [0.8, 0.8]}, "no second monitor"),
        ({"monitors": [NUMBER, refuses("x")], "combine": "cascade", "uncertain": [1.2, 1.5]}, "no second monitor"),
        ({"uncertain": [0.2, 0.5]}, "only 'combine: cascade' has such a band"),
        ({"monitors": [{**NUMBER, "weight": 3}]}, "only 'combine: mean' weighs the scores"),
        ({"monitors": [NUMBER, NUMBER]}, "the name is used twice"),
        ({"monitors": [refuses("x")], "judges": ["text"]},
         "'judges' names 'text', which no monitor has a score for: words"),
        ({"monitors": [NUMBER, {**refuses("x"), "with": {"what": ["text"], "pattern": "x"}}]},
         "monitor 'words': it would never be asked, as 'judges' does not name 'text'"),
        ({"monitors": [{"use": "judge", "with": {"url": "http://x/v1/messages", "model": "m", "asks": "text"}}]},
         "its 'asks' can never apply here; put what is scored under 'judges'"),
        ({"monitors": [{"use": "nope"}]}, "unknown policy 'nope'"),
        ({"monitors": [{"use": "noop"}]}, "monitor 'noop': the policy 'noop' has no score"),
        ({"steps": [{"at": 0.5, "do": "defer"}]}, "give it a 'model'"),
        ({"steps": [{"at": 0.5, "do": "edit"}], "trusted": {"model": "m"}}, "'url'"),
        ({"steps": [{"at": 0.5, "do": "edit"}],
          "trusted": {"model": "m", "url": "http://x/v1/responses", "format": "openai"}}, "speaks openai-responses"),
        ({"steps": [{"at": 0.5, "do": "edit"}], "judges": ["text"], "trusted": {"model": "m", "url": "http://x/v1/messages"}},
         "the step at 0.5 can never apply"),
        ({"monitors": [{"use": "judge", "with": {"url": "http://x/v1/messages", "model": "m", "threshold": 0.3}}]},
         "its 'threshold' can never apply here"),
    ],
)  # fmt: skip
def test_what_can_never_matter_is_said(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"rule 'p': ") as error:
        _load({"monitors": [NUMBER], **options})
    assert sentence in str(error.value)


def _load(options: dict[str, Any]) -> None:
    load_rules([
        RuleConfig.model_validate({
            "name": "p", "use": "protocol", "with": {"steps": [{"at": 0.5, "do": "block"}], **options}
        })
    ])  # fmt: skip
