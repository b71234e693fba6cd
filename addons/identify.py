"""Who sends a request: the agent by its user agent, the session by the marker that the agent itself sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

SESSION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id", "x-session-id", "x-session-affinity")
"""Agents' own session markers; they help to sort a log and are trusted for nothing."""

LONGEST = 200
"""A marker beyond this many characters is cut: it comes from the client."""


def agent_of(headers: Mapping[str, str]) -> str:
    said = headers.get("user-agent", "").strip()
    known = next((agent for start, agent in AGENTS if said.lower().startswith(start)), None)
    return known or said.partition("/")[0].partition(" ")[0][:LONGEST].lower()


def session_of(headers: Mapping[str, str]) -> str:
    return next((value[:LONGEST] for name in SESSION_HEADERS if (value := headers.get(name))), "")
