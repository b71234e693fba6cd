"""`reversible_redaction`: the model sees placeholders instead of secrets and personal data; the client never does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import Field, model_validator

from lockgate.events import Event, Role, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies import commands
from lockgate.policies.json_strings import changed_strings
from lockgate.policies.option_types import doing
from lockgate.policies.patterns import Re2
from lockgate.policies.pii import Kind
from lockgate.policies.pii_scan import PiiDetector
from lockgate.policies.redactor import Act, Redactor
from lockgate.policies.secret_guard import SecretOptions, Sources
from lockgate.policies.seen import Clean
from lockgate.policies.spans import Detector, Span, SpanWindow, merged
from lockgate.policies.vault import PlaceholderDetector, Vault, Vaults, canonical, replaced_names


class Options(SecretOptions):
    """What the model may not see, and for how long it is remembered."""

    secrets: bool = True
    """Whether credentials are replaced, as `secret_guard` finds them."""
    kinds: list[Kind] = Field(default=["email", "phone", "card", "iban", "national-id"])
    """The personal data that is replaced, as `pii` finds it."""
    roles: list[Role] = Field(default=["system", "user", "assistant", "tool"], min_length=1)
    """Whose texts in requests to look at."""
    allow: list[Re2] = Field(default_factory=list[Re2])
    """Patterns of what the model may see: a find in which one is found stays."""
    sessions: int = Field(default=1_000, gt=0)
    """For how many sessions placeholders are remembered, beyond the request that they stand in."""
    entries: int = Field(default=2_000, gt=0)
    """How many placeholders are remembered for each, beyond the request that they stand in."""
    remember: int = Field(default=20_000, ge=0)
    """How many texts that were found clean to remember, as conversations are sent again with every turn."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, "secrets", "kinds", off=(False, []))


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    sources: Sources | None
    pii: PiiDetector
    clean: Clean
    vaults: Vaults


class Both(Detector):
    """What either of two detectors finds, in whole texts."""

    context_chars = 512

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = detectors

    def settled(self, text: str, start: int) -> int:
        return min(detector.settled(text, start) for detector in self._detectors)

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        return merged(span for detector in self._detectors for span in detector.spans(text, start, end))

    def whole(self, text: str) -> Sequence[Span]:
        return merged(span for detector in self._detectors for span in detector.whole(text))


class ReversibleRedaction(Redactor):
    """Replaces secrets and personal data by placeholders on the way to the model, and puts them back on the way down.

    A placeholder such as REDACTED_EMAIL_7f3a2c91 is the same for the same value and session. It is put back in the
    model's text, wherever the provider cut it, and in the arguments of its tool calls, also with its underscores
    escaped or in other case (in text, after a capital R); one of another session stays as it is. The values are kept
    in memory only: the log holds the placeholders, also of what the client sent and got. Rules that look for secrets in
    replies stand before it, as they would find what it puts back.

    Example:
        kinds: [email, iban]
        allow: ['@ourcompany\\.com$']
    """

    Options = Options

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        return frozenset({"request", "text", "call", "event"})

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(
            sources=Sources.load(options) if options.secrets else None,
            pii=PiiDetector(options.kinds),
            clean=Clean(options.remember),
            vaults=Vaults(options.sessions, options.entries),
        )

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self._vault = Vault(options.entries, "")
        self._given: dict[str, str] = {}
        """What the placeholders of this request stand for, however many there are."""

    def act(self, where: str) -> Act:
        return "redact"

    def look(self, x: Exchange) -> tuple[Detector, bytes]:
        parties = (x.host, x.project, x.token, x.client, x.session_id)
        self._vault = self.shared.vaults.of("\0".join(parties) if x.session_id else "")
        if self.shared.sources is None:
            return self.shared.pii, b""
        secrets, salt = self.shared.sources.detector(self.options, x)
        return Both((secrets, self.shared.pii)), salt

    def clean(self) -> Clean:
        return self.shared.clean

    def placeholder(self, kind: str, found: str) -> str:
        name = self._vault.placeholder(kind, found)
        self._given[name] = found
        return name

    def new_window(self) -> SpanWindow:
        return SpanWindow(PlaceholderDetector(), self._restored)

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        text = self._arguments(call)
        return (call,) if text == call.arguments else (replace(call, arguments=text),)

    def _arguments(self, call: ToolCall) -> str:
        """A call's arguments with the values, keys of objects among them."""
        if not call.custom:
            strings = changed_strings(call.arguments, lambda text: replaced_names(text, self._value))
            return replaced_names(strings, self._in_json)
        return replaced_names(call.arguments, self._in_program if commands.is_program(call) else self._value)

    def _restored(self, _: str, name: str) -> str:
        value = self._value(canonical(name))
        return name if value is None else value

    def _value(self, name: str) -> str | None:
        """What a placeholder stands for, here or earlier in the session; the log holds the placeholder for it."""
        value = self._given.get(name) or self._vault.value(name)
        if value is not None and self._x is not None:
            self._x.conceal(value, name)
        return value

    def _in_json(self, name: str) -> str | None:
        value = self._value(name)
        return None if value is None else json.dumps(value)[1:-1]

    def _in_program(self, name: str) -> str | None:
        """As it stands in a string of JavaScript, whatever its quotes."""
        value = self._in_json(name)
        return None if value is None else value.replace("'", "\\'").replace("`", "\\`").replace("${", "\\${")
