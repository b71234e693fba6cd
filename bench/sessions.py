"""A coding agent's long session as its requests and replies, of realistic size, the same for one Python.

Sizes follow Claude Code: a system prompt of about 13 KB, 25 tools of about 50 KB, per turn a signed thought, a
sentence, a tool call and its result of 0.5 to 20 KB; every tenth turn a person says something. `cache_control` moves on
every turn. All texts are cut from Python's own library.
"""

from __future__ import annotations

import base64
import json
import random
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lockgate.bench.traffic import MODEL

type Json = dict[str, Any]

TURNS = 300
PROMPT_EVERY = 10
CACHE = {"cache_control": {"type": "ephemeral"}}
_PACKAGES = ("asyncio", "email", "http", "importlib", "json", "logging", "unittest")


@cache
def _corpus() -> str:
    """Real text: what an agent reads and writes is mostly source code, with its comments."""
    folder = Path(json.__file__).parents[1]
    return "".join(file.read_text() for name in _PACKAGES for file in sorted((folder / name).glob("*.py")))


def session(turns: int = TURNS, *, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """The body of each request, and of the whole reply to it."""
    for request, reply in _documents(turns, seed):
        yield _dumps(request), _dumps(reply)


def last_turn(turns: int, *, seed: int = 1) -> tuple[bytes, bytes]:
    """The last request and its reply, in much less time than all of them take."""
    ((request, reply),) = deque(_documents(turns, seed), maxlen=1)
    return _dumps(request), _dumps(reply)


def _documents(turns: int, seed: int) -> Iterator[tuple[Json, Json]]:
    chance = random.Random(seed)
    system, tools = _system(chance), [_tool(chance, number) for number in range(25)]
    messages: list[Json] = []
    last_reply = ""
    for turn in range(turns):
        messages.append(_said(chance, turn))
        head: Json = {"model": MODEL, "messages": _with_breakpoints(messages)}
        line = f"x-anthropic-billing-header: cc_version=2.1.330; cch={chance.getrandbits(20):05x};{last_reply}\n"
        blocks = [{**system[0], "text": line + system[0]["text"]}, *system[1:-1], system[-1] | CACHE]
        rest = {"system": blocks, "tools": tools, "metadata": _METADATA, "max_tokens": 32000, "stream": True}
        reply = _reply(chance, turn)
        last_reply = f" cc_prev_req=req_{chance.getrandbits(96):024x}"
        messages.append({"role": "assistant", "content": reply["content"]})
        yield head | rest, reply


_METADATA = {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s" * 36})}


def _with_breakpoints(messages: list[Json]) -> list[Json]:
    """The last two of the user's messages with a mark; a text becomes a block to carry it."""
    marked = list(messages)
    for place in [place for place, message in enumerate(messages) if message["role"] == "user"][-2:]:
        content = messages[place]["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        marked[place] = {"role": "user", "content": [*blocks[:-1], blocks[-1] | CACHE]}
    return marked


def _said(chance: random.Random, turn: int) -> Json:
    if turn % PROMPT_EVERY == 0:
        return {"role": "user", "content": source_text(chance, 300)}
    result = {
        "tool_use_id": _call_id(turn - 1),
        "type": "tool_result",
        "content": source_text(chance, _result_size(chance)),
    }
    return {"role": "user", "content": [result]}


def _reply(chance: random.Random, turn: int) -> Json:
    signature = base64.b64encode(chance.randbytes(_size(chance, 300))).decode()
    content: list[Json] = [
        {"type": "thinking", "thinking": source_text(chance, _size(chance, 350)), "signature": signature},
        {"type": "text", "text": source_text(chance, _size(chance, 150))},
    ]
    if (turn + 1) % PROMPT_EVERY:
        arguments = {"command": source_text(chance, _size(chance, 250)), "description": source_text(chance, 40)}
        content.append({"type": "tool_use", "id": _call_id(turn), "name": "Bash", "input": arguments})
    usage = {"input_tokens": 3, "cache_read_input_tokens": 20000 + 700 * turn, "output_tokens": 210}
    head = {"id": f"msg_{chance.getrandbits(96):024x}", "type": "message", "role": "assistant", "model": MODEL}
    reason = "tool_use" if (turn + 1) % PROMPT_EVERY else "end_turn"
    return {**head, "content": content, "stop_reason": reason, "stop_sequence": None, "usage": usage}


def _call_id(turn: int) -> str:
    return f"toolu_{turn:024d}"


def _system(chance: random.Random) -> list[Json]:
    return [{"type": "text", "text": source_text(chance, size)} for size in (100, 11_000, 1_500)]


def _tool(chance: random.Random, number: int) -> Json:
    properties = {f"option_{at}": {"type": "string", "description": source_text(chance, 90)} for at in range(4)}
    schema = {"type": "object", "properties": properties, "required": ["option_0"], "additionalProperties": False}
    return {"name": f"Tool{number}", "description": source_text(chance, 1400), "input_schema": schema}


def _size(chance: random.Random, usual: int) -> int:
    """Sizes spread as those of files and outputs do: many small, a few large."""
    return min(20 * usual, max(20, int(chance.lognormvariate(0, 0.8) * usual)))


def _result_size(chance: random.Random) -> int:
    return max(500, min(20_000, _size(chance, 1800)))


def source_text(chance: random.Random, characters: int) -> str:
    corpus = _corpus()
    start = chance.randrange(len(corpus) - characters)
    return corpus[start : start + characters]


def _dumps(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
