"""Asks a person about a tool call, and does what they say. How they are reached, the port `Approvals` knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from lockgate.errors import Error
from lockgate.events import ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.asking_options import Asking
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.declared import check_arguments, declared_schema
from lockgate.policies.judge import context_of
from lockgate.policies.veil import Veil
from lockgate.ports import Webhook
from lockgate.records import Approval, now
from lockgate.wire.document import dumps, loads_object

REASON_CHARS = 4_000
SCHEMA_CHARS = 50_000
"""A longer one is held against an edit by the proxy only."""


async def ask_person(policy: Policy, asking: Asking, webhook: Webhook | None, call: ToolCall, x: Exchange) -> ToolCall:
    """The call that goes on: this one, or as a person edited it. The policy says why it asks. Raises Blocked.

    A rule in shadow mode asks nobody. What went wrong raises Error, and the rule's `on_error` decides.
    """
    policy.held = policy.reason or "a person is asked"
    if policy.is_shadow:
        return call
    if len(call.arguments) > asking.max_argument_chars:
        raise Error(f"nobody is asked about a call of {len(call.arguments):,} characters: see `max_argument_chars`")
    veil = Veil(call, x)
    asked = _question(policy, asking, veil, call, x)
    answer = await x.ports.approvals.ask(asked, _teller(webhook, x))
    if answer.digest != digest_of(call):
        raise Error("the answer is about another call")
    policy.reason = _told(answer)
    match answer.state:
        case "approved":
            return call
        case "edited":
            return replace(call, arguments=_edited(answer, veil, call, x))
        case "expired" if answer.by_default == "approve":
            return call
        case "expired":
            raise Blocked(asking.late_sentence, reason=policy.reason, score=policy.score)
        case "denied":
            note = f" They say: {answer.note}" if answer.note and answer.note_shown else ""
            raise Blocked(f"{asking.denied_sentence}{note}", reason=policy.reason, score=policy.score)
        case _:
            raise Error(f"an approval that is {answer.state} is no answer")


def digest_of(call: ToolCall) -> str:
    """Names exactly this call."""
    return hashlib.sha256(dumps([call.name, call.arguments, call.custom])).hexdigest()


def _question(policy: Policy, asking: Asking, veil: Veil, call: ToolCall, x: Exchange) -> Approval:
    moment = now()
    return Approval(
        exchange_id=x.id, session_id=x.session_id, rule=policy.rule_name, agent=x.agent, project=x.project,
        model=x.model, tool=call.name, arguments=veil.shown(call.arguments), custom=call.custom,
        schema=_schema(call, x), digest=digest_of(call), key=_key(policy, call, x), score=policy.score,
        reason=veil.shown(policy.reason[:REASON_CHARS]),
        context=[(role, veil.shown(text)) for role, text in context_of(asking, x)],
        asked_at=moment, deadline=moment + timedelta(seconds=asking.deadline_seconds), by_default=asking.default,
    )  # fmt: skip


def _schema(call: ToolCall, x: Exchange) -> str:
    schema = None if call.custom else declared_schema(x.request, call.name)
    text = dumps(schema).decode() if schema is not None else ""
    return text if len(text) <= SCHEMA_CHARS else ""


def _key(policy: Policy, call: ToolCall, x: Exchange) -> str:
    """The same for a request that is sent again: this call, at this place of this conversation, of the same client."""
    said = [[spot.role, spot.text] for spot in x.request.texts() if spot.role not in ("system", "definition")]
    who = [x.agent, x.project, x.token, sorted(x.credentials)]
    return hashlib.sha256(dumps([policy.rule_name, digest_of(call), x.endpoint, who, said])).hexdigest()


def _edited(answer: Approval, veil: Veil, call: ToolCall, x: Exchange) -> str:
    """The person's arguments, with what was concealed from them put back. Raises Error for what no tool could read."""
    text = veil.real(answer.edited or "")
    if call.custom:
        return text
    check_arguments(declared_schema(x.request, call.name), loads_object(text))
    return text


def edit_of(approval: Approval, text: str) -> str:
    """The arguments that a person wrote, as they are decided. Raises Error for what the tool could not take."""
    if approval.custom:
        return text
    try:
        arguments = loads_object(text)
        check_arguments(loads_object(approval.schema) if approval.schema else None, arguments)
    except Error as error:
        raise Error(f"the arguments cannot be taken: {error}; nothing was decided") from error
    return dumps(arguments).decode()


def _told(answer: Approval) -> str:
    if answer.state == "expired":
        return f"nobody decided in time: {answer.by_default} is the default"
    note = f": {answer.note}" if answer.note else ""
    return f"{answer.state} by {answer.decided_by}{note}"


def _teller(webhook: Webhook | None, x: Exchange) -> Callable[[Approval], None]:
    def put(approval: Approval) -> None:
        if webhook is not None:
            document = {"type": "approval.asked", "data": approval_json(approval)}
            x.ports.webhooks.post(webhook, approval.id, document, until=approval.deadline)

    return put


def approval_json(approval: Approval) -> dict[str, Any]:
    """What other programs read of an approval."""
    values = asdict(approval) | {"context": [{"role": role, "text": text} for role, text in approval.context]}
    del values["key"], values["schema"]  # of no use to anyone else
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


class NobodyDecides:
    """The port where rules are only tried: every deadline passes at once."""

    async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
        return replace(asked, state="expired", decided_at=asked.deadline)
