"""`secret_guard`: keeps credentials out of what is sent to a model, of what it says, and of the calls that it makes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lockgate.config import Section, secret_from_environment
from lockgate.events import Event, Request, Role, ToolCall
from lockgate.events import Path as DocumentPath
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked
from lockgate.policies.json_strings import changed_strings, is_json
from lockgate.policies.patterns import Re2, finds
from lockgate.policies.said import Said, said_in
from lockgate.policies.secret_known import known_secrets
from lockgate.policies.secret_rules import OWN_RULES, Prefilter, load_rules
from lockgate.policies.secret_scan import SecretDetector
from lockgate.policies.seen import Clean, digest
from lockgate.policies.spans import SpanWindow, replaced
from lockgate.policies.window import TextWindow

type Act = Literal["redact", "block", "alert", "off"]

SENTENCE = "There is a credential ({kinds}) in this {where}, which may not pass. Leave it out, or refer to it by name."
DIGEST_CHARS = 20
"""A shorter secret may be guessed, so its placeholder holds nothing that a guess could be checked against."""


class Options(Section):
    """What to look for, and what to do where it is found."""

    requests: Act = "redact"
    """What happens to a secret in what is sent to the model, results of tools among it: it is replaced by a
    placeholder, the request is blocked, or it is only recorded."""
    text: Act = "redact"
    """What happens to a secret in the model's text."""
    arguments: Act = "redact"
    """What happens to a secret in the arguments of the model's tool calls."""
    roles: list[Role] = Field(default=["system", "user", "assistant", "tool", "definition"])
    """In requests: whose texts to look at. `tool` are results of tools, `definition` the descriptions of tools."""
    issuers: bool = True
    """Whether to look for the keys of known issuers, by their form."""
    named: bool = True
    """Whether to look for what only a name beside it tells: passwords, keys without a form of their own, URLs."""
    rules: list[Path] = Field(default_factory=list[Path])
    """More rules: files in gitleaks' format."""
    credentials: bool = True
    """Whether the credentials that this exchange itself is sent with are secrets, in any common encoding."""
    environment: list[str] = Field(default_factory=list[str])
    """Names of environment variables whose values are secrets, in any common encoding."""
    allow: list[Re2] = Field(default_factory=list[Re2])
    """Patterns of what is no secret here: a find in which one is found stays."""
    remember: int = Field(default=20_000, ge=0)
    """How many texts that were found clean to remember, as conversations are sent again with every turn."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    words: Prefilter
    """Rules of which each looks at one word."""
    wide: Prefilter | None
    """Rules that look at what stands before a word as well."""
    environment: tuple[str, ...]
    clean: Clean


class SecretGuard(TextWindow):
    """Finds credentials in requests, in the model's text and in its tool calls, and keeps them from passing.

    It knows the keys of some 130 issuers by their form, passwords and keys by the name beside them, private keys,
    URLs with a password, and the credentials of the exchange itself, also encoded, reversed or split. Examples,
    fixtures, hashes, ids and public keys stay. A placeholder such as [secret:github-token:1a2b3c] is the same for the
    same secret. What is found is made unreadable in the log as well.

    Example:
        text: alert
        allow: ['^sk_test_']
    """

    Options = Options

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        seen = {"request": options.requests, "call": options.arguments, "text": options.text, "event": options.text}
        return frozenset(name for name, act in seen.items() if act != "off")

    @classmethod
    def provision(cls, options: Options) -> Shared:
        wide = [rule for path in options.rules for rule in load_rules(path)]
        return Shared(
            words=Prefilter(load_rules(OWN_RULES) if options.issuers else ()),
            wide=Prefilter(wide) if wide else None,
            environment=tuple(secret_from_environment(name) for name in options.environment),
            clean=Clean(options.remember),
        )

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self._act: Act = "redact"
        self._where = ""
        self._kinds: dict[str, None] = {}
        self._looked: tuple[Request, dict[DocumentPath, Any], dict[str, None]] | None = None
        self._x: Exchange | None = None
        self._detector: SecretDetector | None = None
        self._salt = b""

    def new_window(self) -> SpanWindow | None:
        assert self._detector
        return SpanWindow(self._detector, self._instead)

    def conceal(self, request: Request, x: Exchange) -> None:
        self._look_through(request, x)

    async def on_request(self, request: Request, x: Exchange) -> Request:
        if self._looked is None or self._looked[0] is not request:
            self._look_through(request, x)
        assert self._looked
        _, values, self._kinds = self._looked
        self._act, self._where = self.options.requests, "request"
        self._conclude()
        return request.with_values(values) if values else request

    def _look_through(self, request: Request, x: Exchange) -> None:
        self._begin(x, self.options.requests, "request")
        values: dict[DocumentPath, Any] = {}
        for said in said_in(request):
            if said.role in self.options.roles and (out := self._new_text(said)) is not None:
                values[said.path] = out
        self._looked = (request, values, self._kinds)

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        self._begin(x, self.options.text, "text")
        out = await super().on_event(event, x)
        self._conclude()
        return out

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if self.options.arguments == "off":
            return (call,)
        self._begin(x, self.options.arguments, "call")
        text = self._new_arguments(call.arguments) if not call.custom else self._redacted(call.arguments)
        out = call if text == call.arguments else replace(call, arguments=text)
        self._conclude(out)
        return (out,)

    def _begin(self, x: Exchange, act: Act, where: str) -> None:
        if self._detector is None:
            self._x = x
            secrets = (*self.shared.environment, *(x.credentials if self.options.credentials else ()))
            known = known_secrets(tuple(secrets))
            self._detector = SecretDetector(self.shared.words, self.shared.wide, named=self.options.named, known=known)
            self._salt = hashlib.blake2b("\0".join(secrets).encode("utf-8", "replace"), digest_size=16).digest()
        self._act, self._where = act, where
        self._kinds = {}

    def _conclude(self, shown: ToolCall | None = None) -> None:
        """Record what was found; raises Blocked where that is what is done about it."""
        if not self._kinds:
            return
        kinds = ", ".join(self._kinds)
        self.score, self.reason = 1.0, f"found in the {self._where}: {kinds}"
        if self._act == "block":
            raise Blocked(SENTENCE.format(kinds=kinds, where=self._where), reason=self.reason, score=1.0, shown=shown)

    def _new_text(self, said: Said) -> str | None:
        """What stands instead; None where the text stays. A clean text is remembered, as it will come again."""
        key = digest(f"{said.name}\0{said.text}", self._salt)
        if self.shared.clean.has(key):
            return None
        kinds = len(self._kinds)
        out = self._new_arguments(said.text) if said.is_json else self._redacted(said.text, said.name)
        if out == said.text and len(self._kinds) == kinds:
            self.shared.clean.add(key)
            return None
        return out if out != said.text else None

    def _new_arguments(self, text: str) -> str:
        """JSON text: each string as it reads, then the whole, where names stand beside values."""
        text = changed_strings(text, self._redacted)
        out = self._redacted(text)
        return out if out == text or is_json(out) or not is_json(text) else text

    def _redacted(self, text: str, name: str = "") -> str:
        assert self._detector
        lead = f'"{name}": "' if name else ""
        text = lead + text
        spans = [span for span in self._detector.spans(text, 0, len(text)) if span.start >= len(lead)]
        return replaced(text, len(lead), len(text), spans, self._instead)

    def _instead(self, kind: str, secret: str) -> str:
        if any(finds(pattern, secret) for pattern in self.options.allow):
            return secret
        self._kinds[kind] = None
        instead = placeholder(kind, secret)
        if self._x is not None:
            self._x.conceal(secret, instead)
        return secret if self._act == "alert" else instead


def placeholder(kind: str, secret: str) -> str:
    """What stands instead of a secret: readable, and the same for the same secret."""
    if len(secret) < DIGEST_CHARS:
        return f"[secret:{kind}]"
    return f"[secret:{kind}:{hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()[:6]}]"
