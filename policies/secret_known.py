"""Secrets that are known by their value, found in any common encoding and however they are split. Nothing is stored.

Only letters and digits are compared: what stands between them (white space, quotes, `-`, `_`, `+`, `%` …) is passed
over. So one form stands for base64 and base64url, for hexadecimal with and without separators, for a URL's escapes.
"""

from __future__ import annotations

import base64
import codecs
import string
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from lockgate.policies.patterns import matching, re2
from lockgate.policies.spans import Span

MIN_CHARS = 8
"""A shorter secret would be found in ordinary words."""
MAX_CHARS = 4_096
LONG_CHARS = 256
"""A longer one is looked for in the usual encodings only."""
HEAD_CHARS = 4
"""A text in which no form begins with so many letters is not read letter by letter."""
GAP_CHARS = 8
"""So much may stand between two letters of a secret."""
_COMPARED = frozenset(string.ascii_letters + string.digits)
_DELETED = bytes(code for code in range(256) if not chr(code).isascii() or not chr(code).isalnum())
_RARE = "QXZqzjJKYVUW4678935xGHO02LBRDNFkMPCE1vTISAbywgpfmucdlhrsnoiate"
"""What the beginnings of forms are made of, first what stands in few words."""


@dataclass(slots=True)
class _Node:
    """A place in the automaton of Aho and Corasick: what was read so far is the beginning of a form."""

    next: dict[str, _Node] = field(default_factory=dict[str, "_Node"])
    fail: _Node | None = None
    depth: int = 0
    ends: int = 0
    """The length of the longest form that ends here."""


class KnownSecrets:
    """Looks for secrets by value."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.forms = tuple({form for secret in secrets for form in forms_of(secret)})
        self._bytes = tuple(form.encode() for form in self.forms)
        self._root = _automaton(self.forms)
        heads = {form[:HEAD_CHARS] for form in self.forms}
        heads_set = re2.Set.SearchSet()  # asked about each piece of a text: a set answers sooner than a pattern
        for head in sorted(heads):
            heads_set.Add(head)
        heads_set.Compile()
        self._match = matching(heads_set)
        rare = {ord(min(head, key=_RARE.index)) for head in heads}
        self._usual = bytes(code for code in range(256) if code not in rare)
        """A text of these alone holds none of those beginnings: much cheaper to see."""
        self._beginnings = frozenset(head[:size] for head in heads for size in range(1, HEAD_CHARS))
        self._begun = frozenset(map(str.encode, self._beginnings))
        self._ending = frozenset(each[-1:] for each in self._begun)

    def __bool__(self) -> bool:
        return bool(self.forms)

    def occurs(self, data: bytes) -> bool:
        """Whether one can be in a text of single-byte characters."""
        letters = data.translate(None, _DELETED)
        return bool(self._match(letters)) and any(form in letters for form in self._bytes)

    def may_matter(self, data: bytes, bound: int) -> bool:
        """Whether one may stand in a text of single-byte characters, or one that begins before `bound` may go on."""
        rest, letters = data[bound:], b""
        if data.translate(None, self._usual) and self._match(letters := data.translate(None, _DELETED)):
            return True
        if len(rest) >= HEAD_CHARS - 1 and rest.isalnum():
            return False
        letters = letters or data.translate(None, _DELETED)
        if letters[-1:] not in self._ending:
            return False  # nearly always: no beginning of a form ends so
        begun, after = self._begun, len(rest.translate(None, _DELETED)) if rest else 0
        return (
            (after < 3 and letters[-3:] in begun)
            or (after < 2 and letters[-2:] in begun)
            or (after < 1 and letters[-1:] in begun)
        )  # HEAD_CHARS less one

    def spans(self, text: str, start: int) -> tuple[list[Span], int]:
        """Where known secrets stand in text[start:], and where one may have begun that is not complete."""
        letters = text[start:].encode("ascii", "replace").translate(None, _DELETED)
        if not self._match(letters):
            begun = self._begun
            may_open = letters[-1:] in begun or letters[-2:] in begun or letters[-3:] in begun  # HEAD_CHARS less one
            return [], self._opening(text, start) if may_open else len(text)
        found: list[Span] = []
        node, root, places = self._root, self._root, deque[int](maxlen=6 * MAX_CHARS)
        last = start
        for at in range(start, len(text)):
            letter = text[at]
            if letter not in _COMPARED:
                continue
            if at - last > GAP_CHARS:
                node = root
                places.clear()
            last = at
            while letter not in node.next and node.fail is not None:
                node = node.fail
            node = node.next.get(letter, root)
            places.append(at)
            if node.ends:
                found.append(Span(places[-node.ends], at + 1, "known-secret"))
        open_from = places[-node.depth] if node.depth and len(text) - 1 - last <= GAP_CHARS else len(text)
        return found, open_from

    def _opening(self, text: str, start: int) -> int:
        """Where the last letters stand that a form begins with, fewer than HEAD_CHARS; else len(text)."""
        last, at, opening = "", len(text), len(text)
        bound = at - 1 - GAP_CHARS
        while at > start and at > bound and len(last) < HEAD_CHARS - 1:
            at -= 1
            if (letter := text[at]) in _COMPARED:
                last, bound = letter + last, at - GAP_CHARS
                if last in self._beginnings:
                    opening = at
        return opening


@lru_cache(maxsize=64)
def known_secrets(secrets: tuple[str, ...]) -> KnownSecrets:
    """The same object for the same secrets, as an exchange follows another with the same key."""
    return KnownSecrets(secrets)


def forms_of(secret: str) -> set[str]:
    """What a secret looks like in each encoding, letters and digits only."""
    if not MIN_CHARS <= len(secret) <= MAX_CHARS:
        return set()
    data = secret.encode("utf-8", "surrogatepass")
    forms = {secret, secret[::-1], data.hex(), data.hex().upper(), *_base64_forms(data)}
    if len(secret) <= LONG_CHARS:
        forms |= set(_rare_forms(secret, data))
    return {letters for form in forms if len(letters := _letters(form)) >= MIN_CHARS}


def _rare_forms(secret: str, data: bytes) -> Iterable[str]:
    yield codecs.encode(secret, "rot13")
    yield base64.b32encode(data).decode()
    yield data.hex()[::-1]
    for form in _base64_forms(data):
        yield form[::-1]
        yield from _base64_forms(form.encode())
    yield from _base64_forms(data[::-1])
    yield "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"{byte:02X}" for byte in data)  # URL
    for start in ("x", "0x", "u00"):
        yield "".join(f"{start}{byte:02x}" for byte in data)
        yield "".join(f"{start}{byte:02X}" for byte in data)
    yield "".join(map(str, data))
    yield "".join(f"{byte:03o}" for byte in data)


def _base64_forms(data: bytes) -> list[str]:
    """Base64 at each of the three offsets at which other bytes may stand in front, without what those decide."""
    forms: list[str] = []
    for offset, skip in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        mixed = (0, 3, 2)[(len(data) + offset) % 3]
        forms.append(encoded[skip : len(encoded) - mixed])
    return forms


def _letters(form: str) -> str:
    return "".join(letter for letter in form if letter.isascii() and letter.isalnum())


def _automaton(forms: Sequence[str]) -> _Node:
    root = _Node()
    for form in forms:
        node = root
        for letter in form:
            node = node.next.setdefault(letter, _Node(depth=node.depth + 1))
        node.ends = len(form)
    waiting = deque(root.next.values())
    for node in waiting:
        node.fail = root
    while waiting:
        node = waiting.popleft()
        for letter, child in node.next.items():
            fail = node.fail
            while fail is not None and letter not in fail.next:
                fail = fail.fail
            child.fail = fail.next[letter] if fail is not None else root
            child.ends = child.ends or child.fail.ends
            waiting.append(child)
    return root
