"""Private keys in PEM: from their first line to their last, however their lines are joined."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.secret_values import is_made_up, is_random
from lockgate.policies.spans import MAX_UNIT_CHARS, Span

BEGIN = "-----BEGIN"
_SEP = r"[\s\"'`+,;>#|*()\\]"
_HEADER = compile_pattern(r"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_HEADER_OPEN = compile_pattern(r"-----BEGIN[A-Z0-9 ]{0,60}-{0,5}$")
_BODY = compile_pattern(
    rf"(?:{_SEP}|\\[nrt]|[A-Za-z0-9+/=]{{16,}}|(?:Proc-Type|DEK-Info|Version|Comment|Charset): [^\n\\]{{0,80}})*"
)
_LAST = compile_pattern(
    rf"(?:[A-Za-z0-9+/=]{{0,15}}(?:\\[nrt]|{_SEP})*){{0,2}}-----END[A-Z0-9 ]{{0,40}}(?:PRIVATE KEY(?: BLOCK)?)-----"
)
_LAST_OPEN = compile_pattern(
    rf"(?:[A-Za-z0-9+/=:-]{{0,15}}(?:\\[nrt]|{_SEP})*){{0,2}}(?:-{{0,5}}|-----E[A-Z0-9 ]{{0,60}}-{{0,5}})$|"
    r"(?:Proc-Type|DEK-Info|Version|Comment|Charset):[^\n]{0,80}$"
)


def keys(text: str, start: int, end: int) -> Iterator[Span]:
    """The private keys in text[start:end]."""
    return (Span(at, stop, "private-key") for at, stop, _ in _blocks(text, start, end) if _is_key(text[at:stop]))


def settled(text: str, start: int, bound: int) -> int:
    """`bound`, or where a key begins before it that goes on after it, or may."""
    for at, stop, is_open in _blocks(text, start, len(text)):
        if at < bound and (is_open or stop > bound):
            return max(start, at)
    return bound


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Where keys begin and end, and whether more text could make them longer."""
    at = text.find(BEGIN, start, end)
    while at >= 0:
        stop, is_open = _extent(text, at, min(end, at + MAX_UNIT_CHARS))
        yield at, stop, is_open
        at = text.find(BEGIN, max(stop, at + 1), end)


def _extent(text: str, at: int, end: int) -> tuple[int, bool]:
    """Where the key ends that begins at `at`; `at` itself where none does."""
    data = text[at:end].encode("ascii", "replace").decode()
    header = _HEADER.match(data)
    if header is None:
        return at, _HEADER_OPEN.match(data) is not None
    body = _BODY.match(data, header.end())
    if last := _LAST.match(data, body.end()):
        return at + last.end(), False
    return at + body.end(), _LAST_OPEN.match(data, body.end()) is not None


def _is_key(block: str) -> bool:
    """Whether there is a key between its lines: enough of it, and nothing that only stands for one."""
    body = block.partition("KEY")[2].lstrip(" BLOCK-").partition("-----")[0]
    content = "".join(letter for letter in body.replace("\\n", "") if letter.isalnum())
    sample = content[24:88] if len(content) >= 88 else content[:64]
    return len(content) >= 40 and is_random(sample) and not is_made_up(sample[:40])
