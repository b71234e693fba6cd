"""`judge`: what it asks, how it reads the answer, and what follows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError, Error
from lockgate.events import NEW_BLOCK, BlockEnd, Event, MessageEnd, TextDelta, ToolCall
from lockgate.exchange import Exchange, Ports
from lockgate.policies.judge import Judge
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import Rule, load_rules
from lockgate.policies.verdict import Judged, JudgeFailed, Verdicts, prompt, read_verdict
from lockgate.ports import Ask
from lockgate.wire.anthropic import FORMAT
from tests.policies.chains import NoLog, exchange_of, passed

CALL = ToolCall(block=1, id="c", name="Read", arguments='{"file_path": "/x"}')
TEXTS: list[Event] = [TextDelta(block=0, text="he"), TextDelta(block=0, text="llo"), BlockEnd(block=0)]
END = MessageEnd(stop_reason="end_turn")
REQUEST = FORMAT.read_request(
    b'{"model":"m","max_tokens":1,"system":"be kind","messages":['
    b'{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":"threefour"}]}'
)


class Asked:
    """Models that answer with what they were told, in order; the last answer again and again."""

    def __init__(self, *answers: str | Error) -> None:
        self.answers, self.asks = list(answers), list[Ask]()
        self.gate: asyncio.Event | None = None

    async def ask(self, ask: Ask, x: Exchange) -> str:
        self.asks.append(ask)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Error):
            raise answer
        return answer


def score(value: float, reason: str = "because") -> str:
    return f'{{"score": {value}, "reason": "{reason}"}}'


def rule_with(**options: Any) -> Rule:
    fields = {"on_error": options.pop("on_error", "block")}
    known = {"url": "https://judge.example/v1/messages", "model": "j", "threshold": 0.5, **options}
    return load_rules([RuleConfig.model_validate({"name": "r", "use": "judge", "with": known, **fields})]).rules[0]


def exchange(models: Asked) -> Exchange:
    return exchange_of(REQUEST, ports=Ports(log=NoLog(), models=models))


def pipeline(rule: Rule, models: Asked) -> Pipeline:
    from lockgate.policies.registry import PolicySet

    return Pipeline(PolicySet(rules=(rule,), version="v"), exchange(models))


@pytest.mark.parametrize(("given_score", "blocked"), [(0.0, False), (0.49, False), (0.5, True), (1, True)])
async def test_blocks_from_the_threshold_on(given_score: float, blocked: bool):
    rules = pipeline(rule_with(sentence="Reviewed."), Asked(score(given_score, "it deletes the backups")))
    out = await passed(rules, [CALL, END])
    assert (out == [CALL, END]) is not blocked
    assert (rules.x.decisions[0].score, rules.x.decisions[0].reason) == (given_score, "it deletes the backups")
    if blocked:
        assert isinstance(out[0], TextDelta)
        assert "Reviewed." in out[0].text
        assert "backups" not in out[0].text


@pytest.mark.parametrize(
    "answer",
    ["I cannot help with that.", "", score(1.5), score(-1), '{"score": "0.1", "reason": ""}', Error("it is down")],
)
@pytest.mark.parametrize("on_error", ["block", "forward"])
async def test_without_a_verdict_the_rule_decides(answer: str | Error, on_error: str):
    rules = pipeline(rule_with(on_error=on_error), Asked(answer))
    assert (await passed(rules, [CALL]) == [CALL]) is (on_error == "forward")
    assert rules.x.decisions[-1].reason.startswith(("the judge ", "the judge's "))


async def test_the_question():
    models = Asked(score(0))
    await passed(pipeline(rule_with(instructions="No deletions.", context_messages=2, context_chars=5), models), [CALL])
    (ask,) = models.asks
    (mark,) = set(re.findall(r"material-[0-9a-f]{32}", ask.prompt))
    assert [part in ask.prompt for part in ("two", "three… (4 more characters)")] == [True, True]
    assert [part in ask.prompt for part in ('one"', "be kind")] == [False, False]
    judged = ask.prompt.split(f"<{mark}>")[2].split(f"</{mark}>")[0]
    assert '"tool": "Read"' in judged
    assert ask.prompt.rstrip().endswith('{"score": 0 to 1, "reason": "one sentence"}')
    assert "No deletions." in ask.system
    assert (ask.model, ask.format, ask.url) == ("j", "anthropic", "https://judge.example/v1/messages")


async def test_the_mark_is_another_each_time():
    models = Asked(score(0))
    for name in ("a", "b"):
        await passed(pipeline(rule_with(), models), [ToolCall(block=0, id="c", name=name, arguments="{}")])
    marks = [re.findall(r"material-[0-9a-f]{32}", ask.prompt)[0] for ask in models.asks]
    assert len(set(marks)) == 2


@given(content=st.text())
def test_what_is_judged_cannot_leave_its_frame(content: str):
    text = prompt(Judged(kind="text", name="", content=content), [("user", content)])
    (mark,) = set(re.findall(r"material-[0-9a-f]{32}", text))
    assert text.count(f"</{mark}>") == 3
    assert text.encode()


@pytest.mark.parametrize(("asks", "count"), [("text", 1), ("calls", 0)])
async def test_text_is_held_until_it_is_judged(asks: str, count: int):
    models = Asked(score(0.1))
    rules = pipeline(rule_with(asks=asks), models)
    assert await passed(rules, TEXTS[:2]) == ([] if count else TEXTS[:2])
    rest = await passed(rules, TEXTS[2:])
    assert rest == (TEXTS if count else TEXTS[2:])
    assert len(models.asks) == count
    assert all('"text": "hello"' in ask.prompt for ask in models.asks)
    assert await passed(rules, [END]) == [END]


async def test_text_from_the_threshold_on_ends_the_reply():
    with pytest.raises(Refused, match="stopped by a review"):
        await passed(pipeline(rule_with(asks="text"), Asked(score(0.9))), TEXTS)


async def test_text_whose_end_is_never_said_is_judged_at_the_end_of_the_message():
    rules = pipeline(rule_with(asks="text"), Asked(score(0.1)))
    assert await passed(rules, [*TEXTS[:2], END]) == [*TEXTS[:2], END]


async def test_calls_and_added_texts_pass_a_judge_of_texts():
    added, models = TextDelta(block=NEW_BLOCK, text="x"), Asked(score(1))
    assert await passed(pipeline(rule_with(asks="text"), models), [added, CALL]) == [added, CALL]
    assert models.asks == []


@pytest.mark.parametrize("event", [TEXTS[2], END])
async def test_held_text_is_let_go_where_the_judge_fails_and_the_rule_forwards(event: Event):
    rule = rule_with(asks="text")
    policy = rule.policy(rule.options, rule.shared)
    assert isinstance(policy, Judge)
    x = exchange(Asked(Error("it is down")))
    for delta in TEXTS[:2]:
        assert list(await policy.on_event(delta, x)) == []
    with pytest.raises(JudgeFailed):
        await policy.on_event(event, x)
    assert list(policy.let_go(event)) == [*TEXTS[:2], event]


async def test_too_long_a_call_is_not_judged():
    models = Asked(score(0))
    assert await passed(pipeline(rule_with(max_argument_chars=5), models), [CALL]) != [CALL]
    assert models.asks == []


async def test_the_same_question_is_asked_once_for_all_exchanges_of_a_rule():
    models, rule = Asked(score(0.9)), rule_with()
    first, second = pipeline(rule, models), pipeline(rule, models)
    out = await passed(first, [CALL])
    assert await passed(second, [CALL]) == out
    assert await passed(pipeline(rule_with(), models), [CALL]) == out
    assert len(models.asks) == 2
    assert second.x.decisions[0].reason == "because"


async def test_failures_are_not_remembered():
    models, rule = Asked(Error("it is down"), score(0)), rule_with()
    assert await passed(pipeline(rule, models), [CALL]) != [CALL]
    assert await passed(pipeline(rule, models), [CALL]) == [CALL]


async def verdict_of(value: float) -> tuple[float, str]:
    return value, ""


async def test_equal_questions_at_once_are_asked_once_and_outlive_who_asked_first():
    verdicts, gate, asked = Verdicts(10), asyncio.Event(), list[int]()

    async def ask() -> tuple[float, str]:
        asked.append(1)
        await gate.wait()
        return 0.5, "x"

    first, second = (asyncio.create_task(verdicts.get("k", ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await second == (0.5, "x")
    assert await verdicts.get("k", ask) == (0.5, "x")
    assert len(asked) == 1
    assert first.cancelled()


async def test_a_question_answered_at_once_is_remembered():
    """An eager task is over before it can be kept for others to wait for."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    verdicts = Verdicts(2)
    assert await verdicts.get("k", lambda: verdict_of(0.3)) == (0.3, "")
    assert await verdicts.get("k", failing) == (0.3, "")


async def test_verdicts_are_bounded_and_the_latest_stay():
    verdicts, asked = Verdicts(2), list[str]()

    def ask(key: str) -> Callable[[], Any]:
        asked.append(key)
        return lambda: verdict_of(0.1)

    for key in ("a", "b", "a", "c"):
        await verdicts.get(key, ask(key))
    with pytest.raises(AssertionError):
        await verdicts.get("b", failing)
    assert await verdicts.get("a", failing) == (0.1, "")


async def failing() -> tuple[float, str]:
    raise AssertionError("this is asked again")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"score": 0.25, "reason": "x"}', (0.25, "x")),
        ('{"score": 1}', (1.0, "")),
        ('```json\n{"score": 0, "reason": "a {b} \\" c"}\n```', (0.0, 'a {b} " c')),
        ('Sure {as asked}: {"score": 0.5, "reason": "x"} Best wishes', (0.5, "x")),
    ],
)
def test_verdicts_read(answer: str, expected: tuple[float, str]):
    assert read_verdict(answer) == expected


NO_VERDICTS: Sequence[str] = [
    "", "0.5", "I'm sorry, I can't.", '{"score": 0.5', '{"score": true}', '{"score": null}', '{"score": "0"}',
    '{"score": NaN}', '{"score": Infinity}', '{"score": 1.01}', '{"score": -0.1}', '{"reason": "x"}',
    '{"score": 0, "reason": 5}', '{"score": 0, "score": 1}', '{"score": 0} {"score": 1}', '{"score": 0, "final": 1}',
    '{"verdict": {"score": 0}}', '{"score": ' + "9" * 5000 + "}", '{"score": 1e999}', "{" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_VERDICTS, ids=range(len(NO_VERDICTS)))
def test_what_is_no_verdict(answer: str):
    with pytest.raises(JudgeFailed):
        read_verdict(answer)


def test_the_key_comes_from_a_variable_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    monkeypatch.setenv("JUDGE_KEY", " k1 ")
    (tmp_path / "key").write_text("k2\n")
    assert rule_with(key_env="JUDGE_KEY").shared.key == "k1"
    assert rule_with(key_file=str(tmp_path / "key")).shared.key == "k2"
    assert rule_with().shared.key == ""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"key_env": "JUDGE_NO_KEY"}, "the environment variable JUDGE_NO_KEY is not set"),
        ({"key_file": "/nowhere/key"}, "option 'key_file': /nowhere/key cannot be read"),
        ({"key_file": "/dev/null"}, "option 'key_file': /dev/null is empty"),
        ({"key_file": "/x", "key_env": "X"}, "by 'key_env' or by 'key_file', not by both"),
        ({"url": "judge.example"}, "the url is a whole one"),
        ({"url": "https://judge.example"}, "give its path too, such as https://judge.example/v1/messages"),
        ({"url": "https://judge.example/v1/chat/completions"}, "speaks openai-chat, and with 'format: anthropic'"),
        ({"url": "https://judge.example/v1/responses", "format": "openai"}, "it is asked in openai-chat"),
        ({"threshold": 2}, "option 'threshold'"),
        ({"thresold": 0.5}, "unknown option 'thresold' (did you mean 'threshold'?)"),
    ],
)
def test_wrong_options(options: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError) as caught:
        rule_with(**options)
    assert sentence in str(caught.value)
