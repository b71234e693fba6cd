"""What inner floors ask of the outside: the log, people, other programs; and what a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from lockgate.errors import Error
from lockgate.records import Approval, Record


class CommLog(Protocol):
    """Remembers. `put` never waits; who begins an exchange awaits `ready` first, so that the log can slow it down."""

    async def ready(self) -> None: ...
    def put(self, records: Sequence[Record]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question of Lockgate's own to a model. `url` is the whole endpoint, `format` its wire format."""

    url: str
    format: Literal["anthropic", "openai"]
    model: str
    system: str
    prompt: str
    key: str = field(default="", repr=False)
    max_tokens: int = 512
    timeout_seconds: float = 20.0
    retries: int = 1
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the answer follows, where the model server can hold it to one."""
    trigger: str = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an exchange's request goes, and the headers that it goes with: they hold the client's credentials."""

    url: str
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    authority: Path | None = None
    """A PEM file with the authority that the server is trusted by, where the system does not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """An exchange's request, to be sent once more: as it went, or to another model or server of the same format."""

    document: Mapping[str, Any]
    to: Origin
    model: str
    trigger: str
    """Why: "resample", "defer" …"""
    timeout_seconds: float = 120.0


class Approvals(Protocol):
    """Puts a call before a person. An exchange that is cancelled meanwhile leaves it to the request sent again."""

    async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
        """The same with a decision, or expired. `put` is called when people are asked, and not when they were before.

        Raises `lockgate.errors.Error` when nobody can be asked or heard.
        """
        ...


class Unattended:
    """The port of a proxy that has nobody to ask."""

    async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
        raise Error("nobody can be asked here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where something is told to another program, and the key that it is signed with."""

    url: str
    key: bytes = field(repr=False)


class Webhooks(Protocol):
    """Tells other programs. Nobody waits for it, and nothing depends on its success."""

    def post(self, to: Webhook, id: str, document: Mapping[str, Any], *, until: datetime) -> None: ...


class NoWebhooks:
    def post(self, to: Webhook, id: str, document: Mapping[str, Any], *, until: datetime) -> None:
        pass
