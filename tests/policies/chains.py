"""A pipeline over rules made of classes, for tests of how rules work together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lockgate.events import Event, Request
from lockgate.exchange import Exchange, Ports
from lockgate.policies.base import Policy
from lockgate.policies.match import compile_match
from lockgate.policies.pipeline import Pipeline
from lockgate.policies.registry import PolicySet, Rule
from lockgate.ports import Ask
from lockgate.records import Record


class NoLog:
    async def ready(self) -> None:
        pass

    def put(self, records: Sequence[Record]) -> None:
        pass


class NoModels:
    async def ask(self, ask: Ask, x: Exchange) -> str:
        raise AssertionError("no rule of this test asks a model")


def request_of(**document: Any) -> Request:
    document = {"model": "m", "messages": [], **document}
    return Request(raw=b"", document=document, model=str(document["model"]), stream=True, find_texts=lambda _: ())


def exchange_of(request: Request | None = None, **fields: Any) -> Exchange:
    known: dict[str, Any] = {
        "provider": "anthropic", "format": "anthropic", "host": "api.anthropic.com", "endpoint": "/v1/messages",
        "request": request or request_of(), "ports": Ports(log=NoLog(), models=NoModels()),
    }  # fmt: skip
    return Exchange(**{**known, **fields})


def rule_of(policy: type[Policy], *, name: str = "", match: Mapping[str, Any] | None = None, **fields: Any) -> Rule:
    return Rule(
        name=name or policy.__name__.lower(), use="test", policy=policy, options=None, shared=None,
        match=compile_match(match or {}, "rule"), **{"on_error": policy.on_error, "refusal": policy.refusal, **fields},
    )  # fmt: skip


def pipeline_of(*rules: Rule | type[Policy], x: Exchange | None = None) -> Pipeline:
    made = tuple(rule if isinstance(rule, Rule) else rule_of(rule) for rule in rules)
    return Pipeline(PolicySet(rules=made, version="v1"), x or exchange_of())


async def passed(pipeline: Pipeline, events: Iterable[Event]) -> list[Event]:
    """What goes on of events that come one by one."""
    out: list[Event] = []
    for event in events:
        out += await pipeline.reply((event,))
    return out
