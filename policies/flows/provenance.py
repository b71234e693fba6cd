"""Which earlier result a text came from: the longest stretch that both have, white space aside. Values only.

Windows of the argument are looked up in the result, or the other way round where the argument is long, and grown as far
as both agree: every common stretch of `min_chars` holds a whole window, so none is missed. Costs are linear.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from lockgate.policies.patterns import compile_pattern, encodable

MAX_TEXT = 65_536
"""So much of a result is remembered: its beginning and its end."""
MAX_ARGUMENT = 6_000_000
MAX_SPANS = 20
FEW = 64
"""So many windows are looked for one by one."""
_OCCURRENCES = 8
_INVISIBLE = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]+")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[\s:]?){8,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of text that a result and an argument share; `start` is its place in the result without white space."""

    start: int
    text: str


def squeezed(text: str, limit: int = MAX_ARGUMENT) -> str:
    """The text without what is not seen, in lower case, as names of hosts are; of a long one its beginning and its end."""
    text = _INVISIBLE.sub("", text[: 4 * limit]).lower()
    return text if len(text) <= limit else text[: limit // 2] + text[-limit // 2 :]


def spans(result: str, argument: str, min_chars: int) -> Sequence[Span]:
    """The stretches of at least so many characters that both have, longest first. Both are squeezed."""
    size = max(3, (min_chars + 1) // 2)
    stride = min_chars - size + 1
    places = range(0, len(argument) - size + 1, stride)
    found = dict[tuple[int, int], Span]()
    hits = (
        _one_by_one(result, argument, size, places) if len(places) <= FEW else _at_once(result, argument, size, places)
    )
    covered = -1
    for at, start in hits:
        if at + size <= covered:
            continue
        low, high = _grown(result, argument, start, at, size)
        if high - low >= min_chars and len(set(result[low:high])) > 5:
            found.setdefault((low, high), Span(start=low, text=result[low:high]))
            covered = at + (high - start)
            if len(found) >= MAX_SPANS:
                break
    return sorted(found.values(), key=lambda span: -len(span.text))


def _one_by_one(result: str, argument: str, size: int, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    for at in places:
        window, start = argument[at : at + size], -1
        for _ in range(_OCCURRENCES):
            if (start := result.find(window, start + 1)) < 0:
                break
            yield at, start


def _at_once(result: str, argument: str, size: int, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    windows = {argument[at : at + size]: at for at in places}
    for start in range(len(result) - size + 1):
        if (at := windows.get(result[start : start + size])) is not None:
            yield at, start


def _grown(result: str, argument: str, start: int, at: int, size: int) -> tuple[int, int]:
    low, back = start, at
    while low and back and result[low - 1] == argument[back - 1]:
        low, back = low - 1, back - 1
    high, on = start + size, at + size
    while high < len(result) and on < len(argument) and result[high] == argument[on]:
        high, on = high + 1, on + 1
    return low, high


_VALUE = (
    r"(?i)(?:pass(?:word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|credential|salt|auth|\w{1,40}_key|dsn)\w*"
    r"[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/_.$!@%^&*~=-]{10,200})"
)
MAX_VALUES = 50


def values_in(text: str) -> Iterator[str]:
    """What looks like a credential beside its name: letters and digits, and no plain word or name of a variable."""
    found = compile_pattern(_VALUE).findall(encodable(text[:MAX_TEXT]))
    for value in dict.fromkeys(found[:MAX_VALUES]):
        if (
            re.search(r"\d", value)
            and re.search(r"[A-Za-z]", value)
            and not re.search(r"[(\[{]|^\$|\.\w+\.\w+\(|example|changeme", value)
        ):
            yield squeezed(value)


def readings(text: str) -> Iterator[str]:
    """The text, and what it says where it is encoded: percent signs, base64, hex, backwards."""
    yield text
    if "%" in text:
        yield unquote(text)
    if len(text) > 100_000:
        return
    yield text[::-1]
    for found in _ENCODED.findall(text):
        plain = found.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            decoded = base64.b64decode(plain + "=" * (-len(plain) % 4))
        except (ValueError, binascii.Error):
            continue
        yield decoded.decode("utf-8", "ignore")
    for found in _HEX.findall(text):
        digits = re.sub(r"[^0-9a-fA-F]", "", found)
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "ignore")
