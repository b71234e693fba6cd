"""Words as the shell would see them: quotes, escapes, braces and parameters. Pure functions of texts."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from lockgate.policies.shell.model import SPLIT, known, unquoted
from lockgate.policies.shell.model import quoted as quoted_text

MAX_WORDS = 256
"""More words than this from one word's braces are left out."""
MAX_BRACES = 40
MAX_BRACED = 2_000
"""No longer word is looked through for braces."""
_ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ANSI = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|0?([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_RANGE = re.compile(r"(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])")


def unescaped(text: str) -> str:
    r"""Outside of quotes: `\x` is x, and a line end after a backslash is nothing. What was escaped stays quoted."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(\n|.)", lambda m: "" if m[1] == "\n" else quoted_text(m[1]), text, flags=re.DOTALL)


def in_double_quotes(text: str) -> str:
    """Between double quotes, where few escapes mean something."""
    text = re.sub(r'\\([$`"\\\n])', lambda m: "" if m[1] == "\n" else m[1], text) if "\\" in text else text
    return quoted_text(text)


def ansi_c(text: str) -> str:
    r"""What `$'…'`, `printf` and `echo -e` make of escapes such as `\x72`."""
    return _ANSI.sub(_escape, text) if "\\" in text else text


def _escape(found: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if found[group]:
            code = int(found[group], base)
            return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE00F else "\ufffd"
    if found[5]:
        return chr(ord(found[5][0]) & 0x1F)
    return _ESCAPES.get(found[6], found[6] if found[6] in "\\'\"?" else f"\\{found[6]}")


def finished(text: str) -> list[str]:
    """The words that one written word becomes: braces expanded, split where an expansion splits it."""
    words = islice(braces(text), MAX_WORDS) if "{" in text and len(text) < MAX_BRACED else (text,)
    parts = (part for word in words for part in (word.split(SPLIT) if SPLIT in word else (word,)))
    out = [unquoted(part) for part in parts]
    return [part for part in out if part] if SPLIT in text else out


def braces(text: str, depth: int = 0) -> Iterator[str]:
    """`a{b,c}` as `ab` and `ac`; `{1..3}` as its members. A brace that is no list stays."""
    at = text.find("{")
    while at >= 0:
        end, commas = _list(text, at)
        span = _RANGE.fullmatch(text[at + 1 : end]) if end > 0 else None
        if end > 0 and (commas or span) and depth < MAX_BRACES:
            edges = [at, *commas, end]
            middles = _members(span[1], span[2]) if span else [text[a + 1 : b] for a, b in pairwise(edges)]
            rest = list(islice(braces(text[end + 1 :], depth + 1), MAX_WORDS))
            for middle in middles:
                for inner in braces(middle, depth + 1):
                    for ending in rest:
                        yield text[:at] + inner + ending
            return
        at = text.find("{", at + 1)
    yield text


def _list(text: str, at: int) -> tuple[int, list[int]]:
    """Where the brace at `at` closes, or -1, and its own commas."""
    depth, commas = 0, list[int]()
    for index in range(at, min(len(text), at + 4096)):
        letter = text[index]
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 1:
            commas.append(index)
        if depth == 0:
            return index, commas
    return -1, commas


def _members(first: str, last: str) -> Sequence[str]:
    if first.lstrip("-").isdigit() and last.lstrip("-").isdigit():
        low, high = int(first), int(last)
        return [str(n) for n in islice(range(low, high + 1) if low <= high else range(low, high - 1, -1), MAX_WORDS)]
    low, high = ord(first[0]), ord(last[0])
    return [chr(n) for n in (range(low, high + 1) if low <= high else range(low, high - 1, -1))]


def changed(value: str, operator: str, arguments: Sequence[str]) -> str | None:
    """What `${x:1:2}`, `${x%y}`, `${x/a/b}`, `${x^^}` make of a value; None where that is not known."""
    first = arguments[0] if arguments else ""
    match operator:
        case ":":
            return _slice(value, arguments)
        case "^^" | "^" | ",," | ",":
            whole = value.upper() if operator[0] == "^" else value.lower()
            return whole if len(operator) == 2 else whole[:1] + value[1:]
        case "%" | "%%" | "#" | "##":
            return _trimmed(value, first, operator)
        case "/" | "//" | "/#" | "/%":
            return _replaced(value, first, arguments[1] if len(arguments) > 1 else "", operator)
        case _:
            return None


def _slice(value: str, arguments: Sequence[str]) -> str | None:
    try:
        numbers = [int(part) for part in arguments if part.strip()]
    except ValueError:
        return None
    if not numbers or not known(value):
        return None
    start = numbers[0]
    if len(numbers) == 1:
        return value[start:]
    return value[start:][: numbers[1]] if numbers[1] >= 0 else value[start : numbers[1]]


def _trimmed(value: str, pattern: str, operator: str) -> str:
    """The value without the shortest or longest beginning (`#`) or end (`%`) that the pattern fits."""
    places = range(min(len(value), 2048 if len(pattern) < 100 else 64) + 1)
    longest = len(operator) == 2
    if operator[0] == "#":
        ends = reversed(places) if longest else places
        return next((value[at:] for at in ends if fnmatch.fnmatchcase(value[:at], pattern)), value)
    starts = places if longest else reversed(places)
    return next((value[:at] for at in starts if fnmatch.fnmatchcase(value[at:], pattern)), value)


def _replaced(value: str, pattern: str, by: str, operator: str) -> str | None:
    if not pattern or any(letter in pattern for letter in "*?["):
        return None
    if operator == "/#":
        return by + value[len(pattern) :] if value.startswith(pattern) else value
    if operator == "/%":
        return value[: -len(pattern)] + by if value.endswith(pattern) else value
    return value.replace(pattern, by, -1 if operator == "//" else 1)
