"""Placeholders and what they stand for, by session, in bounded memory. Nothing is ever written down."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.spans import Detector, Span

START = "REDACTED_"
PLACEHOLDER = compile_pattern(r"REDACTED_[A-Z0-9_]{1,40}_[0-9a-f]{8}")
_BEGUN = compile_pattern(r"^REDACTED_[A-Z0-9_]{0,40}(?:_[0-9a-f]{0,7})?$")
_PROCESS_KEY = secrets.token_bytes(32)
"""Without it, a placeholder tells nothing about a value that could be guessed."""


class Vault:
    """One session's placeholders, the latest `size` of them."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name.encode("utf-8", "replace")
        self._values: OrderedDict[str, str] = OrderedDict()

    def placeholder(self, kind: str, value: str) -> str:
        """The same for the same value: a prompt cache then hits, and the model knows it again."""
        data = b"\0".join((self._name, kind.encode(), value.encode("utf-8", "surrogatepass")))
        digest = hashlib.blake2b(data, key=_PROCESS_KEY, digest_size=4).hexdigest()
        name = f"{START}{kind.upper().replace('-', '_')[:40]}_{digest}"
        self._values[name] = value
        self._values.move_to_end(name)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return name

    def value(self, placeholder: str) -> str | None:
        """What it stands for; None where it was never given out here, or was forgotten."""
        return self._values.get(placeholder)

    def restored(self, text: str) -> str:
        """The text with what the placeholders stand for."""
        if START not in text:
            return text
        out, at = list[str](), 0
        for span in PlaceholderDetector().spans(text, 0, len(text)):
            name = text[span.start : span.end]
            value = self.value(name)
            out += (text[at : span.start], name if value is None else value)
            at = span.end
        return "".join([*out, text[at:]])


class Vaults:
    """The vaults of the latest `size` sessions."""

    def __init__(self, size: int, entries: int) -> None:
        self._size, self._entries = size, entries
        self._vaults: OrderedDict[str, Vault] = OrderedDict()

    def of(self, session: str) -> Vault:
        """A session's; one of its own where there is no name for the session."""
        if not session:
            return Vault(self._entries, "")
        vault = self._vaults.setdefault(session, Vault(self._entries, session))
        self._vaults.move_to_end(session)
        if len(self._vaults) > self._size:
            self._vaults.popitem(last=False)
        return vault


class PlaceholderDetector(Detector):
    """Finds placeholders, also where they come in pieces."""

    context_chars = 0

    def settled(self, text: str, start: int) -> int:
        if START[0] not in text:
            return len(text)
        at = text.rfind(START, start)
        if at >= 0 and _BEGUN.match(text[at:].encode("ascii", "replace").decode()):
            return at
        at = text.find(START[0], max(start, len(text) - len(START) + 1))
        while at >= 0 and not START.startswith(text[at:]):
            at = text.find(START[0], at + 1)
        return at if at >= 0 else len(text)

    def advance(self, text: str, start: int) -> tuple[int, Sequence[Span]]:
        if text.find(START[0], start) < 0:
            return len(text), ()
        return super().advance(text, start)

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        if START not in text:
            return ()
        data = text[start:end].encode("ascii", "replace").decode()
        return [Span(start + match.start(), start + match.end(), "") for match in PLACEHOLDER.finditer(data)]
