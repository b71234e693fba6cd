"""Runs rules over one request and reply read from files, and says what they did."""

from __future__ import annotations

from typing import Any

from lockgate.exchange import Ports
from lockgate.policies import trial
from lockgate.policies.asking import NobodyDecides
from lockgate.policies.registry import PolicySet
from lockgate.policies.trial import FORMATS, NoLog, format_of

__all__ = ["FORMATS", "NoLog", "format_of", "print_result", "run"]


async def run(policy_set: PolicySet, body: bytes, reply: bytes | None, name: str | None) -> dict[str, Any]:
    """`lockgate.policies.trial.run`, where rules may ask models. Raises WireError."""
    from lockgate.routing.models import HttpModels

    log = NoLog()
    models = HttpModels(log)
    try:
        return await trial.run(policy_set, body, reply, name, Ports(log=log, models=models, approvals=NobodyDecides()))
    finally:
        await models.close()


def print_result(result: dict[str, Any]) -> None:
    """The result in words: each decision a line, then what goes on."""
    from lockgate.wire.document import dumps

    for one in result["decisions"]:
        would = "would have " if one["mode"] == "shadow" else ""
        score = "" if one["score"] is None else f", score {one['score']:g}"
        reason = f": {one['reason']}" if one["reason"] else ""
        print(f"rule {one['rule']} {would}{one['action']} {_NOUNS.get(one['subject'], one['subject'])}{score}{reason}")
    if not result["decisions"]:
        print("no rule did anything")
    for part in ("request", "reply"):
        if (outcome := result[part]) is not None:
            print(f"\n{part}: {_OUTCOMES[outcome['outcome']]}")
            if "sentence" in outcome:
                print(outcome["sentence"])
            if "document" in outcome:
                print(dumps(outcome["document"]).decode())
            if "body" in outcome:
                print(outcome["body"], end="" if outcome["body"].endswith("\n") else "\n")


_NOUNS = {
    "request": "the request",
    "toolcall": "a tool call",
    "textdelta": "a piece of text",
    "blockend": "the end of a text",
    "messageend": "the end of the reply",
    "end": "the end of the reply",
    "turn": "the whole reply",
}
_OUTCOMES = {"passed": "goes on as it came", "changed": "goes on changed", "blocked": "is blocked"}
