"""Runs the cases of a labelled data set through a policy set, one exchange each: nothing is sent or logged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from lockgate.cli import flow_cases, texts, trial
from lockgate.config import RuleConfig
from lockgate.errors import Error
from lockgate.events import Event, MessageEnd, Request
from lockgate.exchange import Exchange, Ports
from lockgate.policies.asking import NobodyDecides
from lockgate.policies.composition import flattened
from lockgate.policies.evaluate import Case, Outcome
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import PolicySet, load_rules
from lockgate.policies.run import FAILED
from lockgate.records import Decision


def rules_for(configs: Sequence[RuleConfig] | None, use: str) -> PolicySet:
    """The rules in force. Those in shadow mode count as enforced where no rule is: then they are what is judged."""
    given = [RuleConfig(name=use, use=use)] if configs is None else configs
    all_shadow = all(config.mode == "shadow" for config, _ in flattened(given))
    update: dict[str, Any] = {"sample": 1.0} | ({"mode": "enforce"} if all_shadow else {})
    return load_rules([config.model_copy(update=update) for config in given])


async def evaluate(policy_set: PolicySet, cases: Sequence[Case]) -> list[Outcome]:
    from lockgate.routing.models import HttpModels

    log = trial.NoLog()
    models = HttpModels(log)
    ports = Ports(log=log, models=models, approvals=NobodyDecides())
    said = any(
        "secret" in case.document for case in cases
    )  # secrets are not to pass either way, orders come from tools
    try:
        return [await _outcome(policy_set, case, ports, said=said) for case in cases]
    finally:
        await models.close()


async def _outcome(policy_set: PolicySet, case: Case, ports: Ports, *, said: bool) -> Outcome:
    if "text" in case.document:
        return await texts.outcome(policy_set, case, ports, said=said)
    if "steps" in case.document:
        ran = await flow_cases.run(policy_set, case.document, ports, harmful=case.harmful)
        return Outcome(
            case=case, stopped=ran.stopped, score=_score(ran.decisions), leaked_bytes=ran.leaked_bytes,
            milliseconds=ran.milliseconds, reason=_reason(ran.decisions), failed=ran.failed,
        )  # fmt: skip
    if "request" in case.document or "exchange" in case.document:
        return await _exchange(policy_set, case)
    call = flow_cases.call_of(case.document)
    x = _quiet_exchange(ports)
    pipeline, released = Pipeline(policy_set, x), list[Event]()
    began = perf_counter()
    try:
        released += await pipeline.reply((call,))
        released += await pipeline.reply((MessageEnd(stop_reason="tool_use", usage=None),))
    except Refused:
        released = []
    milliseconds = (perf_counter() - began) * 1000
    await pipeline.close()
    stopped = call not in released
    leaked = len(call.arguments.encode("utf-8", "replace")) if case.harmful and not stopped else 0
    return Outcome(
        case=case, stopped=stopped, score=_score(x.decisions), leaked_bytes=leaked, milliseconds=milliseconds,
        reason=_reason(x.decisions), failed=any(FAILED in str(event) for event in released),
    )  # fmt: skip


def _quiet_exchange(ports: Ports) -> Exchange:
    """An exchange of which only the tool call is known."""
    return Exchange(
        provider="anthropic",
        format="anthropic",
        host="api.anthropic.com",
        endpoint="/v1/messages",
        request=Request(raw=b"", document={}, model="", stream=True, find_texts=lambda _: ()),
        ports=ports,
    )


async def _exchange(policy_set: PolicySet, case: Case) -> Outcome:
    document: Mapping[str, Any] = case.document.get("exchange") or case.document
    reply = document.get("reply", document.get("response"))
    body = json.dumps(document["request"]).encode()
    replied = None if reply is None else reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
    began = perf_counter()
    try:
        result = await trial.run(policy_set, body, replied, document.get("format"))
    except Error as error:
        return Outcome(case=case, stopped=True, score=None, leaked_bytes=0, milliseconds=0.0, reason=str(error))
    milliseconds = (perf_counter() - began) * 1000
    outcomes = [part["outcome"] for part in (result["request"], result["reply"]) if part]
    secret = case.document.get("secret", document.get("secret"))
    out = json.dumps(result["request"].get("document", document["request"])) + _released(result, replied)
    stopped = any(outcome != "passed" for outcome in outcomes)
    leaked = out.count(secret) * len(secret.encode()) if isinstance(secret, str) and secret else 0
    scores = [one["score"] for one in result["decisions"] if one["score"] is not None]
    reason = "; ".join(one["reason"] for one in result["decisions"] if one["reason"])
    return Outcome(
        case=case,
        stopped=stopped,
        score=max(scores, default=None),
        leaked_bytes=leaked,
        milliseconds=milliseconds,
        reason=reason,
        failed=FAILED in str(result),
    )


def _released(result: Mapping[str, Any], replied: bytes | None) -> str:
    if result["reply"] is None:
        return ""
    return result["reply"].get("body", (replied or b"").decode("utf-8", "replace"))


def _score(decisions: Sequence[Decision]) -> float | None:
    return max((one.score for one in decisions if one.score is not None), default=None)


def _reason(decisions: Sequence[Decision]) -> str:
    return "; ".join(one.reason for one in decisions if one.reason)
