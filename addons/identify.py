"""Who sends a request: the agent by its user agent, the session by the markers that the agent itself sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.errors import WireError
from lockgate.history.asked import Marks
from lockgate.records import Purpose
from lockgate.wire.document import loads

AGENTS: Sequence[tuple[str, str]] = (
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("geminicli", "gemini-cli"),
    ("opencode", "opencode"),
    ("qwencode", "qwen-code"),
    ("copilot", "copilot"),
    ("aider", "aider"),
    ("litellm", "litellm"),
)
"""What a user agent begins with, and the agent that it means. Others are called by the name they give themselves."""

SESSION_HEADERS = (
    "x-claude-code-session-id",
    "thread-id",
    "session-id",
    "session_id",
    "x-session-id",
    "x-session-affinity",
)
"""Agents' own session markers; they help to sort a log and are trusted for nothing."""
PARENT_HEADERS = ("x-codex-parent-thread-id", "x-parent-session-id")
"""The marker of the session that sent a sub-agent."""
CACHE_KEYS = ("qwen-code:", "agents-sdk:run:")
"""What a `prompt_cache_key` begins with where it names a session. Others use it as they like."""
PURPOSES: Mapping[str, Purpose] = {
    "auxiliary": "side", "side_reply": "side", "compaction": "compaction",  # x-claude-code-request-class
    "compact": "compaction", "memory_consolidation": "side",  # x-openai-subagent
}  # fmt: skip

LONGEST = 200
"""A marker beyond this many characters is cut: it comes from the client."""


def agent_of(headers: Mapping[str, str]) -> str:
    said = headers.get("user-agent", "").strip()
    known = next((agent for start, agent in AGENTS if said.lower().startswith(start)), None)
    return known or said.partition("/")[0].partition(" ")[0][:LONGEST].lower()


def marks_of(headers: Mapping[str, str], document: Mapping[str, Any]) -> Marks:
    """What the agent says of its session."""
    marker = next((value for name in SESSION_HEADERS if (value := headers.get(name))), "") or _in_body(document)
    parent = next((value for name in PARENT_HEADERS if (value := headers.get(name))), "")
    if agent := headers.get("x-claude-code-agent-id"):
        sender = headers.get("x-claude-code-parent-agent-id")
        parent = f"{marker}/{sender}" if sender else marker
        marker = f"{marker}/{agent}"
    said = headers.get("x-claude-code-request-class", "") or headers.get("x-openai-subagent", "")
    if '"request_kind":"compaction"' in headers.get("x-codex-turn-metadata", ""):
        said = "compaction"
    return Marks(session=marker[:LONGEST], parent=parent[:LONGEST], purpose=PURPOSES.get(said, ""), main=said == "main")


def _in_body(document: Mapping[str, Any]) -> str:
    """The marker of agents that write it into the request."""
    key = document.get("prompt_cache_key")
    if isinstance(key, str) and key.startswith(CACHE_KEYS):
        return key
    match document.get("metadata"):
        case {"user_id": str(user)} if user.startswith("{"):
            return _session_in(user)
        case _:
            return ""


def _session_in(user: str) -> str:
    try:
        match loads(user):
            case {"session_id": str(id)}:
                return id
            case _:
                return ""
    except WireError:
        return ""
