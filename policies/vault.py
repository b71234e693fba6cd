"""Placeholders and what they stand for, by session, in bounded memory. Nothing is ever written down."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.spans import Detector, Span

START = "REDACTED_"
_FORM = r"EDACTED\\?_(?:[A-Z0-9]|\\?_){1,40}?\\?_[0-9A-F]{8}"
"""Models write one in other case, and escape its underscores, as Markdown has them."""
PLACEHOLDER = compile_pattern(f"R(?i:{_FORM})")
_ANY_CASE = compile_pattern(f"(?i)R{_FORM}")
_BEGUN = compile_pattern(r"^REDACTED_[A-Z0-9_]{0,40}(?:_[0-9A-F]{0,7})?$")
_LONGEST = 2 * (len(START) + 40 + 9)
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
        name = _named(kind, data)
        while self._values.get(name, value) != value:  # another value has this name by chance
            data += b"\0"
            name = _named(kind, data)
        self._values[name] = value
        self._values.move_to_end(name)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return name

    def value(self, placeholder: str) -> str | None:
        """What it stands for; None where it was never given out here, or was forgotten."""
        return self._values.get(placeholder)


def _named(kind: str, data: bytes) -> str:
    digest = hashlib.blake2b(data, key=_PROCESS_KEY, digest_size=4).hexdigest()
    return f"{START}{kind.upper().replace('-', '_')[:40]}_{digest}"


def replaced_names(text: str, instead: Callable[[str], str | None]) -> str:
    """The text with what is given for each placeholder, in whatever case; one stays where nothing is given."""
    if "_" not in text:
        return text
    out, at = list[str](), 0
    for match in _ANY_CASE.finditer(_ascii(text)):
        value = instead(canonical(match[0]))
        out += (text[at : match.start()], match[0] if value is None else value)
        at = match.end()
    return "".join([*out, text[at:]])


def canonical(name: str) -> str:
    """A placeholder as it was given out, however the model writes it."""
    plain = name.replace("\\", "")
    return plain[:-8].upper() + plain[-8:].lower()


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
        """Where the last one begins that more text may complete."""
        at = text.find(START[0], max(start, len(text) - _LONGEST))
        while at >= 0 and not _is_begun(text[at:]):
            at = text.find(START[0], at + 1)
        return at if at >= 0 else len(text)

    def advance(self, text: str, start: int) -> tuple[int, Sequence[Span]]:
        if text.find(START[0], start) < 0:
            return len(text), ()
        return super().advance(text, start)

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        if START[0] not in text:
            return ()
        found = PLACEHOLDER.finditer(_ascii(text[start:end]))
        return [Span(start + match.start(), start + match.end(), "") for match in found]


def _is_begun(text: str) -> bool:
    """Whether it begins a placeholder, and holds no whole one."""
    plain = text.replace("\\", "").upper()
    if START.startswith(plain):
        return True
    return plain.startswith(START) and bool(_BEGUN.match(_ascii(plain))) and not PLACEHOLDER.match(_ascii(text))


def _ascii(text: str) -> str:
    """The text with one character for each, so that places stay the same."""
    return text.encode("ascii", "replace").decode()
