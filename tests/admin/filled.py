"""An office in which something has happened: for tests that look at every page, and for the pictures in docs/."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

from lockgate.access.budgets import Sum, lines_of
from lockgate.access.grant import Grant
from lockgate.access.records import Token
from lockgate.events import Usage
from lockgate.frames.told import content_of
from lockgate.records import Approval, FramesRow, Record, Relation, SessionRow, new_id, now
from lockgate.storage.access import Access
from lockgate.storage.acts import Acts
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.budgets import add
from lockgate.storage.heartbeat import Run, Serving
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.proxies import beat
from tests.addons.messages import end, frame, text
from tests.admin.desks import RING, Office
from tests.storage.logs import remember
from tests.storage.records import audit_entry, comm, decision, exchange_row

MODELS = ("claude-opus-4-5", "gpt-5.2-codex", "claude-haiku-4-5")
TURNS = (
    ("Where is the total computed?", "I look for it.", "Bash", {"command": "grep -rn 'def total' shop/"}),
    ("shop/cart.py:12: def total(items):", "It is in `shop/cart.py`. I read it.", "Read", {"path": "shop/cart.py"}),
    ("def total(items):\n    return sum(item.price for item in items)",
     "**Quantities are missing.** I change the sum:\n\n```python\n"
     "return sum(item.price * item.count for item in items)\n```\n\nand run the tests.",
     "Bash", {"command": "pytest -q tests/test_cart.py"}),
    ("6 passed in 0.21s", "All pass. I push it.", "Bash", {"command": "git push --force origin main"}),
)  # fmt: skip
"""What came, what the model says, and what it calls."""
BLOCKED = "The command `git push --force` was not run: it rewrites what others have."


async def fill(office: Office) -> str:
    """Projects, tokens, keys, exchanges, a session, calls that wait, entries of the trail. Gives the session's id."""
    token = _access(office)
    session = SessionRow(
        id=new_id(), started_at=now() - timedelta(minutes=9), agent="claude-code", project="shop",
        title="The total of the cart is wrong: quantities do not count.",
    )  # fmt: skip
    rows = [record for minute in range(60) for record in _traffic(minute, token)]
    trail = [
        audit_entry(who="ada", where="10.0.0.4", act="project.create", subject="project shop"),
        audit_entry(who="unknown", where="10.0.0.9", act="access.unknown", subject="host api.anthropic.com",
                    outcome="denied", reason="this token is not known", after="", count=7),
    ]  # fmt: skip
    await remember(office.url, [*rows, *_session(session, token), *trail])
    waiting = ApprovalRows(parse(office.url))
    await waiting.insert(_asked(session.id))
    await waiting.close()
    _proxies(office)
    return session.id


def _proxies(office: Office) -> None:
    """This one, and one that was not heard of again."""
    here = Serving(listen=("regular 127.0.0.1:8080",), policy_set="84c212ab446c", open_exchanges=3, held=1)
    away = Serving(listen=("regular 10.0.0.8:8080", "socks5 10.0.0.8:1080"), policy_set="84c212ab446c")
    began, gone = office.desk.health.started_at, now() - timedelta(minutes=7)
    with Acts(office.url) as acts:
        acts.do(lambda at: beat(at, Run(host="gate-1", pid=812, started_at=began), here))
        earlier = Run(host="gate-2", pid=7, started_at=gone - timedelta(hours=3))
        acts.do(lambda at: beat(at, earlier, away, clock=lambda _: gone))


def _access(office: Office) -> Token:
    grant = Grant.model_validate(
        {
            "allow": {"models": ["claude-*", "gpt-5*"], "endpoints": ["/v1/messages", "/v1/responses"]},
            "limits": {"requests_per_minute": 120, "concurrent": 8},
            "budgets": [{"per": "day", "usd": 25}, {"per": "month", "tokens": 50_000_000}],
        }
    )
    with Access(office.url, RING) as access, ProviderKeys(office.url, RING) as keys:
        access.create_project("docs", notes="Translations and release notes.")
        shop = access.create_project("shop", notes="The web shop's agents.", grant=grant)
        used = {line.key: Sum(31_000_000, 21 * 10**9) for line in lines_of("project", shop.id, grant, now())}
        access.do(lambda at: add(at, used))
        for name, days in (("ci", 30), ("laptop of ben", 1)):
            access.create_token("shop", lifetime=timedelta(days=days), name=name, labels=("ci",) * (name == "ci"))
        _, token = access.create_token("shop", lifetime=timedelta(hours=12), name="nightly", request_quota=500)
        keys.add("anthropic", "sk-ant-0000-WXYZ", name="main")
        keys.add("openai", "sk-0000-ABCD", name="shop", project="shop")
    return token


def _traffic(minute: int, token: Token) -> list[Record]:
    """A few exchanges of one minute, the same each time."""
    dice = random.Random(minute)
    at, made = now() - timedelta(minutes=60 - minute), list[Record]()
    for _ in range(dice.randrange(1, 4)):
        outcome = dice.choice(("passed", "passed", "passed", "changed", "blocked", "error"))
        rules = {"blocked": ("no-force-push",), "changed": ("mask-secrets",)}.get(outcome, ())
        row = exchange_row(
            started_at=at, model=dice.choice(MODELS), agent=dice.choice(("claude-code", "codex")), outcome=outcome,
            rules=rules, blocked=int(outcome == "blocked"), project=dice.choice(("shop", "shop", "docs")),
            cost_nano_usd=dice.randrange(10**8), usage=Usage(input_tokens=dice.randrange(20_000), output_tokens=900),
            first_byte_ms=dice.uniform(300, 1500), error="HTTP 529 overloaded" if outcome == "error" else "",
            token=token.id, session_id="",
        )  # fmt: skip
        made.append(row)
    return made


def _session(session: SessionRow, token: Token) -> list[Record]:
    messages: list[dict[str, Any]] = []
    records: list[Record] = [session]
    for turn, (came, says, tool, given) in enumerate(TURNS):
        call = {"type": "tool_use", "id": f"call_{turn}", "name": tool, "input": given}
        result = {"type": "tool_result", "tool_use_id": f"call_{turn - 1}", "content": came}
        messages = [*messages, {"role": "user", "content": [result] if turn else f"{session.title} {came}"}]
        thought = {
            "type": "thinking",
            "thinking": f"Step {turn + 1}: what is known so far points there.",
            "signature": "s",
        }
        said = [thought, {"type": "text", "text": says}, call]
        records += _exchange(session, token, turn, messages, said)
        messages = [*messages, {"role": "assistant", "content": said}]
    return records


def _exchange(session: SessionRow, token: Token, turn: int, messages: list[Any], said: list[Any]) -> list[Record]:
    """The last one's call was blocked."""
    is_last, at = turn == len(TURNS) - 1, session.started_at + timedelta(seconds=20 * turn)
    row = exchange_row(
        session_id=session.id, started_at=at, endpoint="POST /v1/messages", model=MODELS[0], project="shop",
        outcome="blocked" if is_last else "passed", blocked=int(is_last), rules=("no-force-push",) if is_last else (),
        token=token.id, cost_nano_usd=31_000_000, tool_calls=1,
    )  # fmt: skip
    request = {"model": row.model, "max_tokens": 4096, "messages": messages}
    parts = {"endpoint": row.endpoint, "session_id": session.id, "created_at": at}
    asked = comm(row.id, content=json.dumps(request).encode(), **parts)
    came = comm(row.id, type="RESPONSE", status=200, content=_reply(row.id, row.model, said), **parts)
    records: list[Record] = [row, asked, came, _related(asked.id, came.id, "request_response")]
    if is_last:
        instead = [*said[:-1], {"type": "text", "text": BLOCKED}]
        passed = comm(row.id, type="RESPONSE", status=200, content=_reply(row.id, row.model, instead), **parts)
        given = json.dumps(said[-1]).encode()
        records += [
            passed, _related(came.id, passed.id, "modified_to"),
            decision(row.id, rule="no-force-push", policy="dangerous_command", reason="it rewrites history",
                     given=given, out=json.dumps({"text": BLOCKED}).encode(), created_at=at),
            _frames(row.id, str(said[1]["text"]), given),
        ]  # fmt: skip
    return records


def _frames(exchange_id: str, says: str, given: bytes) -> FramesRow:
    """A call that was held to its end, and a text that left in its place."""
    halves = (given[: len(given) // 2], given[len(given) // 2 :])
    call = [
        frame(type="content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": half.decode()})
        for half in halves
    ]
    began = [frame(type="message_start", message={"id": "msg_1", "content": []}), *text(0, says)]
    came = [*began, *call, *end("tool_use")]
    times = [412.0 + 61.5 * number for number in range(len(came))]
    instead = [*text(1, BLOCKED), *end("end_turn")]
    final: list[tuple[float, float, bytes | int]] = [(times[at] + 0.3, 0.3, at) for at in range(len(began))]
    final += [(times[-1] + 1.1, times[-1] + 1.1 - times[len(began)], each) for each in instead]
    content = content_of(list(zip(times, came, strict=True)), final, ((0, 0), (0, 0)))
    return FramesRow(exchange_id=exchange_id, content=content)


def _reply(id: str, model: str, said: list[Any]) -> bytes:
    reply = {
        "id": f"msg_{id[-6:]}", "type": "message", "role": "assistant", "model": model, "content": said,
        "stop_reason": "tool_use", "usage": {"input_tokens": 4200, "output_tokens": 180},
    }  # fmt: skip
    return json.dumps(reply).encode()


def _related(first: str, second: str, type: Any) -> Relation:
    return Relation(from_comm_id=first, to_comm_id=second, type=type)


def _asked(session_id: str) -> Approval:
    return Approval(
        exchange_id=new_id(), rule="ask-first", tool="Bash", arguments='{"command": "git push origin release-2.4"}',
        digest="0" * 64, key="1" * 64, deadline=now() + timedelta(minutes=9), session_id=session_id,
        agent="claude-code", project="shop", model=MODELS[0], score=0.71, reason="it pushes to a released branch",
        context=(("user", "Ship it once the tests pass."), ("assistant", "All pass. I push the release branch.")),
        schema='{"type": "object", "properties": {"command": {"type": "string"}}}',
    )  # fmt: skip
