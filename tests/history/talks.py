"""Conversations with a model as a client has them, compared by a `History` turn by turn."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from lockgate.history.asked import Asked, Marks
from lockgate.history.history import History, Standing
from lockgate.records import Record, new_id

type Json = dict[str, Any]

_NUMBERS = count(1)


def user(*content: Any) -> Json:
    return {"role": "user", "content": [text(one) if isinstance(one, str) else one for one in content]}


def assistant(*content: Any) -> Json:
    return {"role": "assistant", "content": [text(one) if isinstance(one, str) else one for one in content]}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def call(command: str, id: str = "", name: str = "Bash", **more: Any) -> Json:
    arguments = {"command": command, **more}
    return {"type": "tool_use", "id": id or f"toolu_{next(_NUMBERS)}", "name": name, "input": arguments}


def result(of: Json, said: str = "ok") -> Json:
    return {"type": "tool_result", "tool_use_id": of["id"], "content": said}


def reply_of(message: Json) -> Json:
    """The whole reply that says this, in Anthropic's format."""
    head = {"id": f"msg_{next(_NUMBERS)}", "type": "message", "model": "claude-x", "stop_reason": "end_turn"}
    return head | message


@dataclass
class Client:
    """One agent. `say` asks with all of its messages, and adds the reply to them, as it is or as `back` has it."""

    history: History
    marker: str = ""
    parent: str = ""
    agent: str = "agent"
    address: str = "127.0.0.1"
    messages: list[Json] = field(default_factory=list[Json])
    records: list[Record] = field(default_factory=list[Record])

    async def asks(self, *messages: Json, marks: Marks | None = None, **more: Any) -> Standing:
        """A request with these messages, or with those that it has, and nothing more."""
        document = {"model": "claude-x", "max_tokens": 100, "messages": list(messages or self.messages), **more}
        standing = await self.history.stand(
            Asked(
                exchange_id=new_id(), format="anthropic", document=document, agent=self.agent, client=self.address,
                marks=marks or Marks(session=self.marker, parent=self.parent),
            )
        )  # fmt: skip
        self.records += standing.records
        return standing

    def gets(self, standing: Standing, message: Json, *, complete: bool = True, veto: bool = False) -> None:
        """The reply is released, and the exchange over."""
        reply = json.dumps(reply_of(message)).encode()
        self.records += self.history.release(standing, reply, comm_id=new_id(), complete=complete, veto=veto)
        self.history.ended(standing)

    async def say(self, *content: Any, reply: Any = "Fine.", back: Json | None = None, **more: Any) -> Standing:
        self.messages.append(user(*content))
        standing = await self.asks(**more)
        message = reply if isinstance(reply, dict) and "role" in reply else assistant(reply)
        self.gets(standing, message)
        self.messages.append(back or message)
        return standing


async def works(client: Client, *replies: Any) -> list[Standing]:
    """A conversation in which each of these is a reply; the last of all is said so that the next call may go on."""
    return [await client.say(f"step {at}: {reply!r}"[:60], reply=reply) for at, reply in enumerate(replies)]
