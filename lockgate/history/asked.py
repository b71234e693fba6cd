"""A request as its history matters: the turns in it, as a chain, and who sends it. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from lockgate.records import Purpose, now
from lockgate.wire import prompts
from lockgate.wire.turns import Turn, digest, is_open, messages_of, turns_in

ROOT = bytes(16)
"""The node before the first turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What the agent itself says of its session. It helps to tell sessions apart, and is trusted for nothing."""

    session: str = ""
    """For a sub-agent, its own."""
    parent: str = ""
    """The session that sent it; only a sub-agent has one."""
    purpose: Purpose = ""
    main: bool = False
    """Whether it says that this is no side call."""


def node_after(parent: bytes, meaning: bytes) -> bytes:
    """The name of a turn after all turns before it."""
    return digest(parent, meaning)


@dataclass(kw_only=True)
class Asked:
    """One request. `turns` are the model's, `nodes` their names in the chain that begins at `base`."""

    exchange_id: str
    format: str
    document: Mapping[str, Any]
    marks: Marks = field(default_factory=Marks)
    agent: str = ""
    project: str = ""
    token: str = ""
    client: str = ""
    tools: bool = True
    converses: bool = True
    compacts: bool = False
    started_at: datetime = field(default_factory=now)
    base: bytes = ROOT

    def __post_init__(self) -> None:
        self._words = dict[int, list[bytes]]()
        self.messages: Sequence[Any] = messages_of(self.format, self.document)
        if not self.messages and isinstance(text := self.document.get("input"), str):
            self.messages = (text,)
        self.turns: Sequence[Turn] = turns_in(self.format, self.messages)
        self.party = (self.agent, self.project, self.token, self.client)
        """Who sends it, where no marker says so."""

    @cached_property
    def nodes(self) -> list[bytes]:
        """The name of each turn; read it only once `base` is known."""
        nodes, node = list[bytes](), self.base
        for turn in self.turns:
            node = node_after(node, turn.meaning)
            nodes.append(node)
        return nodes

    @property
    def node(self) -> bytes:
        """What the request stands on."""
        return self.nodes[-1] if self.turns else self.base

    def words(self, turns: int) -> list[bytes]:
        """Digests of what the client said after so many turns: of the first thing, of the first two …"""
        if (words := self._words.get(turns)) is None:
            start = self.turns[turns - 1].end if turns else 0
            end = self.turns[turns].start if turns < len(self.turns) else len(self.messages)
            words = self._words[turns] = prompts.words_in(self.messages[start:end])
        return words

    @property
    def last_words(self) -> list[bytes]:
        return self.words(len(self.turns))

    @cached_property
    def opening(self) -> str:
        return prompts.opening_of(self.messages)

    @cached_property
    def opening_digest(self) -> bytes:
        return prompts.text_digest(self.opening)

    @property
    def task(self) -> str:
        """The last text of a person, or of who sent the agent."""
        return next(iter([*prompts.texts_in(self.messages)][::-1]), "")

    @property
    def is_open(self) -> bool:
        """Whether the reply goes on with the last turn."""
        return is_open(self.format, self.messages, self.turns)

    @property
    def follows(self) -> str:
        """The reply that stands for all that was said before (Responses)."""
        name = self.document.get("previous_response_id")
        return name if isinstance(name, str) and name else self.kept

    @property
    def kept(self) -> str:
        """The conversation that the provider keeps and the request goes on with (Responses)."""
        kept = self.document.get("conversation")
        name: Any = cast(dict[str, Any], kept).get("id") if isinstance(kept, dict) else kept
        return name if isinstance(name, str) else ""

    @property
    def refers(self) -> bool:
        """Whether turns stand there by their names at the provider only."""
        return any(call.name == "item_reference" for turn in self.turns for call in turn.calls)


def final(words: Sequence[bytes]) -> bytes:
    """The digest of all the words."""
    return words[-1] if words else prompts.NOTHING


def purpose_of(asked: Asked) -> Purpose:
    """What the request is for, as its shape and its agent's headers tell."""
    if asked.compacts:
        return "compaction"
    if not asked.converses:
        return "side"
    if asked.marks.purpose:
        return asked.marks.purpose
    limits = (asked.document.get(key) for key in ("max_tokens", "max_completion_tokens", "max_output_tokens"))
    if any(limit == 1 for limit in limits) or asked.document.get("generate") is False:
        return "side"
    if asked.messages and isinstance(last := asked.messages[-1], dict) and last.get("type") == "compaction_trigger":  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return "compaction"
    if asked.agent in _AGENTS and not (asked.tools or asked.turns or asked.marks.main):
        return "side"  # a title or a topic
    return ""


_AGENTS = ("claude-code", "codex", "opencode", "qwen-code")
"""Agents that declare their tools whenever they work."""
