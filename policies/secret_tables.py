"""Secrets in columns: of tables, of comma-separated values, of rows that are inserted into a database.

Each value is looked for from the heading on, and no further than the context that a streamed text keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

from lockgate.policies.patterns import compile_bytes
from lockgate.policies.secret_values import is_password, is_token
from lockgate.policies.spans import Span

CONTEXT_CHARS = 480
"""A value stands no further from the beginning of its heading."""
MAX_HEADING_CHARS = 240
_HEADING = compile_bytes(
    r"(?i)(?:\b|_)(?:passw(?:or)?d|passphrase|pwd|pass|secret|token|api[ _-]?key|access[ _-]?key)\b[^\n]*\n"
)
_RULE = compile_bytes(r"[|+: \t-]*-[|+: \t-]*\r?\n")
"""The line under the first of a table."""
_RULE_BEGINS = frozenset((b"|", b"+", b":", b" ", b"\t", b"-"))
_COLUMN_NAME = (
    r"(?:[\w.]{1,20}[ _-])?(?:passw(?:or)?d|passphrase|pwd|pass|secret(?:[ _-]?key)?|token|(?:api|access)[ _-]?key)"
)
_COLUMN = compile_bytes(rf"(?i)^{_COLUMN_NAME}$")
_NAME = compile_bytes(r"^[\w .-]{1,40}$")
_SHORT_HASH = compile_bytes(r"^[0-9a-f]{6,12}$")
_SPACED = compile_bytes(r"[^\s]+(?: [^\s]+)*")
"""A cell of a table that only white space sets apart: two blanks or more, or a tab."""
MIN_SPACED_COUNT = 2
_CODE = b"(){}[]=<>;:\"'`"
"""What stands in no heading."""
_OF_KEYS = compile_bytes(r"(?i)(?:api|access|secret|auth)_?keys?\b|secrets?\b|tokens?\b|credentials?\b")
"""Tables whose `key` and `value` are secrets."""
_INSERT = compile_bytes(r"(?i)insert[ \t]+into[ \t]+([\w.`\"\[\]]{1,60})\s{0,4}\(([^()]{1,200})\)\s{0,4}values\s{0,4}")
_VALUE = compile_bytes(r"\(?[ \t]{0,4}N?(?:'([^'\n]*)'|[^,()'\n]+)[ \t]{0,4}(?:,|\)[,;]?\s{0,4})?")
_BESIDE = r"[ \t\r\"'`*]*"
FORMS = {
    _HEADING: rf"(?i)(?:^|[\n|,\t;]|  ){_BESIDE}{_COLUMN_NAME}{_BESIDE}(?:[\n|,\t;]|  )",
    _INSERT: _INSERT.pattern.decode(),
}
"""What may be found here, and the pattern by which a first look tells whether it may."""


def secrets_in_tables(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """The secrets in columns whose heading says so, in a text of single-byte characters; by the forms that were met."""
    if _HEADING in met and any(sign in data for sign in (b"|", b",", b"\t", b";", b"  ")):
        for head in _HEADING.finditer(data):
            yield from _table(data, data.rfind(b"\n", 0, head.start()) + 1, head.end())
    for insert in _INSERT.finditer(data) if _INSERT in met else ():
        heading = [cell.strip(b" \t\r\n\"'`[]") for cell in insert.group(2).split(b",")]
        if _OF_KEYS.search(insert.group(1)):
            heading = [b"api_key" if cell.lower() in (b"key", b"value") else cell for cell in heading]
        yield from _inserted(data, insert.start(), insert.end(), heading)


def _table(data: bytes, first: int, at: int) -> Iterator[Span]:
    """What stands under the line data[first:at]."""
    line, below = data[first:at], data[at : at + CONTEXT_CHARS]
    rule = _RULE.match(below) if below[:1] in _RULE_BEGINS and b"|" in line else None
    sign = b"|" if rule else next((sign for sign in (b",", b"\t", b";") if sign in line), b"")
    if not sign:
        if b"  " in line.strip() and line.translate(None, _CODE) == line:
            yield from _spaced(data, first, at)
        return
    if (
        (not rule and line[:1].isspace())
        or len(line) > MAX_HEADING_CHARS
        or line.strip().endswith((b":", b".", b"{", b"("))
    ):
        return
    heading = [cell.strip(b" \t\r\n\"'`*") for cell in line.split(sign)]
    if not rule and not all(map(_NAME.match, heading)):
        return
    columns = [number for number, cell in enumerate(heading) if _COLUMN.match(cell)]
    at += rule.end() if rule else 0
    while columns and at - first < CONTEXT_CHARS:
        line = data[at:].partition(b"\n")[0]
        cells = line.split(sign)
        if len(cells) <= columns[0]:
            return
        yield from _row(cells, columns, first, at)
        at += len(line) + 1


def _spaced(data: bytes, first: int, at: int) -> Iterator[Span]:
    """What stands under a line whose words are apart, in the column of the same number."""
    heading = [match.group() for match in _SPACED.finditer(data[first:at])]
    columns = [number for number, cell in enumerate(heading) if _COLUMN.match(cell)]
    if len(heading) < MIN_SPACED_COUNT or not columns or not all(map(_NAME.match, heading)):
        return
    while at - first < CONTEXT_CHARS:
        line = data[at:].partition(b"\n")[0]
        cells = [match for match in _SPACED.finditer(line) if match.group().strip(b"-=")]
        if len(cells) <= columns[0] and line.strip(b" -=\t\r"):
            return
        for number in columns:
            if number < len(cells) and b" " not in (value := cells[number].group()) and _is_secret(value):
                yield Span(at + cells[number].start(), at + cells[number].end(), "password")
        at += len(line) + 1
        if not line.strip():
            return


def _row(cells: Sequence[bytes], columns: Sequence[int], first: int, at: int) -> Iterator[Span]:
    for number in columns:
        word = next(iter(cells[number].split()), b"") if number < len(cells) else b""
        value = word.strip(b"\"'`")
        start = at + sum(len(cell) + 1 for cell in cells[:number]) + (cells[number].find(value) if value else 0)
        if value and start - first <= CONTEXT_CHARS and _is_secret(value):
            yield Span(start, start + len(value), "password")


def _inserted(data: bytes, first: int, at: int, heading: Sequence[bytes]) -> Iterator[Span]:
    """Values in the order of the columns, of one row after the other."""
    number = 0
    while at - first < CONTEXT_CHARS and (match := _VALUE.match(data, at)) and match.end() > at:
        value = match.group(1) or b""
        named = _COLUMN.match(heading[number % len(heading)]) is not None
        if named and match.start(1) - first <= CONTEXT_CHARS and not value.split()[1:] and _is_secret(value):
            yield Span(match.start(1), match.end(1), "password")
        number, at = number + 1, match.end()


def _is_secret(value: bytes) -> bool:
    text = value.decode("ascii")
    return _SHORT_HASH.match(value) is None and (is_password(text, quoted=True) or is_token(text))
