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
from itertools import islice
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


def letters(text: str) -> str:
    """Its letters and digits alone, in lower case: what is left where something was chopped up or spelt otherwise."""
    return "".join(filter(str.isalnum, text)).lower()


_LINE = r"(?m)^[\s\-*|>]*(?:\d+[→\t:] *)?(?:export |set |define\(|- )?[\"']?([\w.\- ]{0,60}?)[\"']?\s*[:=,]>?\s*[\"']?([^\s\"'][^\"'\n]{5,400}?)[\"']?[;,)]*\s*$"
_WHOLE = r"^\s*([!-~]{6,400})\s*$"
_ISSUED = (
    r"\b((?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abposr]|npm|hf|pypi|dop_v1|shpat|stg|tok|key|SG|ya29|eyJ)[-_.][A-Za-z0-9_\-.]{12,300}|"
    r"A(?:KIA|SIA)[A-Z0-9]{12,20})\b"
)
_SIGNS_IN = r"(?i)\b(?:login|log-in|credentials?|creds|passw\w*|pwd|pw|passphrase|pin|secret|token|key|code)\b[^\n]{0,25}?(?::|=|/| is )\s*[\"']?([!-~]{8,80})"
_SPOKEN = r"(?i)\b(?:pass|password|passwd|pwd|pw|passphrase)\s+([!-~]{8,80})"
_ONE_TIME = r"(?i)\b(?:one-?time|verification|security|login|sign-?in|2fa|two-?factor|otp|confirmation|reset)[\w -]{0,20}\b(?:code|password|pin|token)\b[^\n\d]{0,20}\b(\d{6,8})\b"
_ELEMENT = r"(?i)(?:passw\w*|secret|token|key|credential)[\w\"' ]{0,20}>\s*([!-;=?-~]{8,200})\s*</"
_USERINFO = r"://[^\s:/@]*:([^\s@/]{6,100})@"
_PEM = r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\s|\\n)+([A-Za-z0-9+/=]{12,80})"
_QUOTED = r"\"((?:[^\"\\\n]|\\.){8,300})\"\s*[,}\]\n]"
_CELL = r"[^\s,;|\"'{}\[\]()]{8,80}"
_NUMBERS = r"\[\s*((?:\d{1,3}\s*,\s*){9,})"
_SEED = r"(?m)^\s*((?:[a-z]{3,8} ){11,23}[a-z]{3,8})\s*$"
CANDIDATES = 200
"""So many places of one kind are looked at."""
SHORT = 12_000
"""A longer result of a secret place is looked through for credentials by their names only."""


def shown_values(text: str, *, secret: bool) -> Iterator[tuple[str, str, str]]:
    """Credentials in a result: the name that each stands beside, itself, and its line; of a secret place every value."""
    text = encodable(text[:MAX_TEXT])
    if "-----BEGIN" in text:
        yield from (("", one, "") for one in compile_pattern(_PEM).findall(text))
    if "code" in text or "pin" in text.lower():
        yield from (("code", one, "") for one in islice(compile_pattern(_ONE_TIME).findall(text), 10))
    seen, count = set[str](), 0
    for name, value, beside in _values(text, secret=secret and len(text) < SHORT):
        if value in seen:
            continue
        seen.add(value)
        is_one = _is_credential(value, secret=secret) or compile_pattern(_ISSUED).match(value) is not None
        if is_one and len(letters(value)) >= 8:
            yield name, value, beside
            if (count := count + 1) >= MAX_VALUES:
                return


def _values(text: str, *, secret: bool) -> Iterator[tuple[str, str, str]]:
    for pattern in (
        (_USERINFO, _ISSUED, _SIGNS_IN, _SPOKEN)
        if any(sign in text for sign in ("://", "_", "-", ":", "=", "/"))
        else ()
    ):
        for at, value in islice(_found(pattern, text), CANDIDATES):
            line = _line(text, at)
            yield line.partition("=")[0].partition(":")[0].strip()[-60:], value.rstrip(".,;)\"'"), line
    for at, value in islice(_found(_VALUE, text), CANDIDATES):
        line = _line(text, at)
        yield line.partition("=")[0].strip()[-60:], value, line
    if secret:
        for found in islice(compile_pattern(_LINE).finditer(text), CANDIDATES):
            yield found[1], found[2], found[0]
        for pattern in (_WHOLE, _QUOTED, _NUMBERS, _SEED):
            yield from (("", one, "") for one in compile_pattern(pattern).findall(text))


def _found(pattern: str, text: str) -> Iterator[tuple[int, str]]:
    """Where the pattern is found, and its group; in bytes where places are the same there, which costs half as much."""
    if text.isascii():
        return ((match.start(), match[1].decode()) for match in compile_pattern(pattern).finditer(text.encode()))
    return ((match.start(), match[1]) for match in compile_pattern(pattern).finditer(text))


def _line(text: str, at: int) -> str:
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    return text[start : end if end >= 0 else len(text)][:400]


def _is_credential(value: str, *, secret: bool) -> bool:
    """Whether it is no plain word, name of a variable, place or example."""
    if re.search(
        r"[(\[{<]|^\$|\$\{|\.\w+\.\w+\(|(?i:example|changeme|localhost|placeholder|your[-_])|^(?:https?|file)://[^@]*$|^[./~]",
        value,
    ):
        return bool(secret and re.match(r"[\d\s,]+$", value))
    if re.search(r"\d", value) and re.search(r"[A-Za-z]", value):
        return len(set(value)) > 5
    return secret and (
        value.count(" ") >= 8 or (" " not in value and len(set(value)) > 7 and len(value) >= 10 and not value.isalpha())
    )


def cells_in(text: str) -> Iterator[str]:
    """What stands in the rows of a table and names one of them: numbers with letters, as letters and digits."""
    for cell in dict.fromkeys(compile_pattern(_CELL).findall(encodable(text[:MAX_TEXT]))[:MAX_VALUES]):
        if re.search(r"\d", cell) and len(plain := letters(cell)) >= 8 and not finds_date(cell):
            yield plain


def finds_date(cell: str) -> bool:
    return re.match(r"\d{4}-\d\d-\d\d|\d{1,2}[:.]\d\d", cell) is not None


_RECORDS = (
    r"\b[A-Z]{2}\d{2} ?(?:[A-Z0-9]{4} ?){2,7}[A-Z0-9]{1,4}\b|\b(?:\d{4}[ -]?){3}\d{4}\b|\b\d{3}-\d{2}-\d{4}\b|\b[A-Z]\d{8,10}\b|"
    r"[\w.+-]{2,40}@[\w-]+\.[\w.-]{2,30}\b|\+\d{1,3}[ -]?(?:\d[ -]?){6,12}\d\b|\$2[aby]\$\d\d\$[\w./]{10,53}"
)
_HARD = r"^(?:[a-z]{2}\d{2}[a-z0-9]{11,30}|\d{9}|\d{16}|[a-z]\d{8,10}|2[aby]\d\d\w{10,53})$"
_PEOPLE = r"(?i)\b(?:ssn|salar\w+|patient|diagnos\w+|insurance|passport|born|birth\w*|password_hash|users?)\b"


def records_in(text: str) -> Iterator[str]:
    """What tells of people in a result that holds several, or says that it is about them: by letters and digits."""
    text = encodable(text[:MAX_TEXT])
    found = list(dict.fromkeys(map(letters, compile_pattern(_RECORDS).findall(text))))
    if len(found) > 1 or (found and compile_pattern(_PEOPLE).search(text)):
        yield from found[:MAX_VALUES]


def is_number_of(record: str) -> bool:
    """Whether the record is a number that one person has: of an account, a card, an insurance."""
    return re.match(_HARD, record) is not None
