"""A month of a large team: exchanges with all that belongs to them, for what reads a log that has been in use.

Each is a turn of a session of a coding agent, with its messages in their thread, a call, a decision, tokens and a cost;
what people and tools say can be searched. The last one has just ended.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from lockgate.bench.reading import COMM, DECISION, EXCHANGE, MESSAGE, SAID, Kind, Row, id_at
from lockgate.records import now
from lockgate.storage.index import digest_of
from lockgate.storage.packing import pack
from lockgate.storage.said import Said
from lockgate.wire.conversation import node_hash, part_hash, split, split_reply
from lockgate.wire.document import dumps

type Forms = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]
"""The envelope and the form of a request, and of its reply, as they are stored."""

DAYS = 29
TURNS = 20
"""Of each session."""
MODELS = ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5", "claude-sonnet-4-5", "unpriced-model")
AGENTS = ("claude-code", "claude-code", "codex", "opencode")
TOOLS = ("Bash", "Read", "Edit", "Grep", "Write", "WebFetch")
PROJECTS = tuple(f"project-{number}" for number in range(13))
TOKENS = 39
"""Three of each project."""
OUTCOMES = ("passed",) * 46 + ("changed", "blocked", "error", "gone")
ENDPOINT = "POST /v1/messages"
HEADERS = dumps([["content-type", "application/json"], ["user-agent", "claude-cli/2.1.330"], ["x-app", "cli"]]).decode()
RELATION = ("id", "from_comm_id", "to_comm_id", "relationship_type", "metadata")
THREAD = ("hash", "parent", "message", "depth")
SESSION = (
    *("id", "started_at", "parent_id", "relation", "node", "agent", "marker", "project", "token", "client", "title"),
    "opening",
)
TABLES = {
    "session": SESSION, "exchange": EXCHANGE,
    "comm": (*COMM, "status", "thread", "envelope", "form", "digest"),
    "comm_relationship": RELATION, "message": MESSAGE, "thread": THREAD, "said": SAID,
    "tool_use": ("name", "exchange_id", "calls"), "decision": DECISION,
}  # fmt: skip


@dataclass(slots=True)
class _Thread:
    """Where the session that is being written has come to."""

    node: bytes | None = None
    call: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One exchange, and who has it."""

    number: int
    exchange_id: str
    comm_ids: tuple[str, str]
    session_id: str
    moment: datetime

    @property
    def turn(self) -> int:
        return self.number % TURNS

    def of[T](self, values: Sequence[T]) -> T:
        """One of these; the same for a whole session."""
        return values[self.number // TURNS % len(values)]


def month(count: int, numbers_after: int = 0) -> Kind:
    """So many exchanges; the places of texts get numbers after this one."""
    apart = timedelta(days=DAYS) / count
    begin = now() - count * apart
    make = partial(_rows, begin, apart, numbers_after, _Thread(), [_forms(turn) for turn in range(TURNS)])
    return Kind("page", TABLES, make, lambda _: {})


def _rows(
    begin: datetime, apart: timedelta, after: int, thread: _Thread, forms: Sequence[Forms],
    number: int, chance: random.Random, phrases: Sequence[str],
) -> Iterator[tuple[str, Row]]:  # fmt: skip
    moment = begin + number * apart
    ids = [id_at(moment, number, variant) for variant in (8, 9, 10)]
    if number % TURNS == 0:
        thread.node, thread.call = None, ""
        thread.id = str(UUID(id_at(moment, number, 11)))
    at = _Turn(number=number, exchange_id=ids[0], comm_ids=(ids[1], ids[2]), session_id=thread.id, moment=moment)
    marks = ("often" if number % 2 else "seldom", "needle" if number % 99_999 == 7 else "hay", f"line {number}")
    words = " ".join((*chance.choices(phrases), *marks))
    if at.turn == 0:
        yield "session", _session(at, words)
    yield "exchange", _exchange(at, chance)
    reply = f"I look at {chance.choice(phrases)[:60]}."
    yield from _said(at, thread, forms[at.turn], after + 2 * number, words, reply)
    yield "tool_use", (TOOLS[number % 11 % 6], at.exchange_id, 1)
    yield "decision", _decision(at)


def _session(at: _Turn, words: str) -> Row:
    project = at.of(PROJECTS)
    return (
        *(at.session_id, at.moment, "", "", b"", at.of(AGENTS), "", project, _token(at), "127.0.0.1", words[:200]),
        at.number.to_bytes(16),
    )


def _exchange(at: _Turn, chance: random.Random) -> Row:
    outcome, model = chance.choice(OUTCOMES), at.of(MODELS)
    cost = None if model == "unpriced-model" else chance.randrange(40_000_000)
    rules = '["no-touch"]' if outcome in ("blocked", "changed") else "[]"
    return (
        *(at.exchange_id, at.moment, "model", "anthropic", "api.anthropic.com", ENDPOINT, model, at.of(AGENTS)),
        *(at.session_id, at.of(PROJECTS), _token(at), "", "127.0.0.1", "v1", True, 529 if outcome == "error" else 200),
        *(outcome, "tool_use", 1200, chance.randrange(900), 40_000, 900, "provider", cost),
        *(chance.uniform(300, 1500), chance.uniform(1500, 9000), 1, int(outcome == "blocked"), rules, ""),
    )


def _token(at: _Turn) -> str:
    return str(UUID(int=at.number // TURNS % TOKENS))


def _said(at: _Turn, thread: _Thread, forms: Forms, place: int, words: str, text: str) -> Iterator[tuple[str, Row]]:
    """The request with what is new in it, and the reply."""
    asked = _asked(thread.call, words)
    thread.call = f"toolu_{at.number:024d}"
    answer = _answer(thread.call, text, TOOLS[at.number % 11 % 6])
    for asks, message, said in (
        (True, asked, Said(role="user" if at.turn == 0 else "tool", text=words)),
        (False, {"role": "assistant", "content": answer["content"]}, Said(role="assistant", text=text)),
    ):
        comm, hash, content = at.comm_ids[not asks], part_hash("message", message, b""), dumps(message)
        parent, thread.node = thread.node, node_hash(thread.node, hash)
        yield "message", (hash, "message", message["role"], pack(content), len(content), at.moment)
        yield "thread", (thread.node, parent, hash, 2 * at.turn + (not asks))
        ends = ("client", "api.anthropic.com") if asks else ("api.anthropic.com", "client")
        yield (
            "comm",
            (
                *(
                    comm,
                    at.exchange_id,
                    at.session_id,
                    "REQUEST" if asks else "RESPONSE",
                    *ends,
                    ENDPOINT,
                    "{}",
                    HEADERS,
                ),
                *("", at.moment, None if asks else 200, thread.node, *forms[not asks], hash),
            ),
        )
        place += 1
        yield "said", (place, at.exchange_id, comm, hash if asks else None, 0, digest_of(said), said.text)
    yield "comm_relationship", (id_at(at.moment, at.number, 12), *at.comm_ids, "request_response", "{}")


def _decision(at: _Turn) -> Row:
    blocked = at.number % 50 == 0
    return (
        *(id_at(at.moment, at.number, 13), at.exchange_id, "no-touch", "tools", "v1", "enforce", "toolcall"),
        *("blocked" if blocked else "forwarded", None, "it touches what it should not" if blocked else "", 0.1),
        *(at.moment, b'{"command":"pytest -q","name":"Bash"}', b""),
    )


def _forms(turn: int) -> Forms:
    """How the messages stand in the request and the reply of this turn: in each session others in the same way."""
    answer = {"role": "assistant", "content": _answer("call", "text", "Bash")["content"]}
    messages = [_asked("", "words"), *[answer, _asked("call", "words")] * turn]
    request = {"model": MODELS[0], "messages": messages, "max_tokens": 32_000, "stream": True}
    found = (split("anthropic", dumps(request)), split_reply("anthropic", dumps(_answer("call", "text", "Bash"))))
    asked, answered = ((pack(one.envelope), pack(one.form)) for one in found if one)
    return asked, answered


def _asked(call: str, words: str) -> Any:
    if call:
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": words}]}
    return {"role": "user", "content": [{"type": "text", "text": text} for text in (words, "Go on until it works.")]}


def _answer(call: str, text: str, tool: str) -> dict[str, Any]:
    calls = {"type": "tool_use", "id": call, "name": tool, "input": {"command": "ls"}}
    content = [{"type": "text", "text": text}, calls]
    usage = {"input_tokens": 1200, "output_tokens": 300}
    return {"id": "msg_01", "type": "message", "role": "assistant", "model": MODELS[0], "content": content,
            "stop_reason": "tool_use", "usage": usage}  # fmt: skip
