"""Private keys in PEM, and PuTTY's, from their first line to their last; the words of a wallet, of a passphrase."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lockgate.policies import secret_phrases
from lockgate.policies.patterns import compile_pattern, encodable
from lockgate.policies.secret_values import is_made_up, is_random
from lockgate.policies.spans import MAX_UNIT_CHARS, Span

_OWN = ("phrase", "Phrase", "nemonic", "-----BEGIN", "---- BEGIN SSH2", "Private-Lines:", "PHRASE", "NEMONIC")
BEGINNINGS = (*_OWN, *secret_phrases.MARKS)
"""The usual ones first: what is found early spares looking far for the others."""
_MARK_CHARS = max(map(len, BEGINNINGS))
_MARK = compile_pattern("|".join((*_OWN, secret_phrases.IN_LONG)))
LONG_CHARS = 4_096
"""In a longer text all are looked for at once, which costs half as much where none is."""
_SEP = r"[\s\"'`+,;>#|*()\\]"
_HEADER = compile_pattern(
    r"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2[A-Z0-9 ]{0,20}PRIVATE KEY ----|"
    r"Private-Lines:(?:[ \t]|\\t)*\d{1,4}"
)
_HEADER_OPEN = compile_pattern(
    r"-----BEGIN[A-Z0-9 ]{0,60}-{0,5}$|---- BEGIN SSH2[A-Z0-9 ]{0,60}-{0,4}$|Private-Lines:[ \t\d]*$"
)
_BODY = compile_pattern(
    rf"(?:\\[nrt]|{_SEP}|[A-Za-z0-9+/=]{{16,}}|(?:Proc-Type|DEK-Info|Version|Comment|Charset): [^\n\\]{{0,80}})*"
)
_LAST = compile_pattern(
    rf"(?:[A-Za-z0-9+/=]{{0,15}}(?:\\[nrt]|{_SEP})*){{0,2}}-{{4,5}} ?END[A-Z0-9 ]{{0,40}}(?:PRIVATE KEY(?: BLOCK)?) "
    rf"?-{{4,5}}|"
    rf"[A-Za-z0-9+/=]{{1,15}}(?:\\[nrt]|{_SEP})+Private-M"
)
_LAST_OPEN = compile_pattern(
    rf"(?:[A-Za-z0-9+/=:-]{{0,15}}(?:\\[nrt]|{_SEP})*){{0,2}}(?:-{{0,5}}|-{{4,5}} ?E[A-Z0-9 ]{{0,60}}-{{0,5}})$|"
    r"(?:Proc-Type|DEK-Info|Version|Comment|Charset):[^\n]{0,80}$"
)
_PHRASE = compile_pattern(
    r"(?:nemonic|NEMONIC|phrase|Phrase|PHRASE)(?:\\?[\"'`])?(?: words)?(?: is| are| was)?[\s:=>\[({\"'`\\-]{1,16}"
)
_OF_A_WALLET = compile_pattern(r"(?i)(?:seed|recovery|backup|wallet|mnemonic)[ _-]?$")
_WORDS = compile_pattern(r"(?:[a-z]{3,8}(?:\\n|[\s\"',`\\]){1,6}){0,23}[a-z]{0,8}")
_PHRASE_CHARS = 40
_PROSE = frozenset(("the", "and", "for", "are", "was", "has", "its", "not", "but", "our", "can", "all", "use"))
"""No phrase is made of these."""


def keys(text: str, start: int, end: int) -> Iterator[Span]:
    """The private keys in text[start:end]."""
    for at, stop, _ in _blocks(text, start, end):
        if text[at] != "-" and not text.startswith("Private", at):
            phrase = secret_phrases.find(text, at, end)[0]
            yield from (phrase,) if phrase else _phrase(text, at, stop)
        elif _is_key(text[at:stop]):
            yield Span(at, stop, "private-key")


def _phrase(text: str, at: int, stop: int) -> Iterator[Span]:
    head = _PHRASE.match(text[at:stop])
    words: list[str] = compile_pattern("[a-z]{3,}").findall(text[at + head.end() : stop]) if head else []
    if head and len(words) >= 12 and not _PROSE.intersection(words):
        yield Span(at + head.end(), stop, "seed-phrase")


def settled(text: str, start: int, bound: int) -> int:
    """`bound`, or where a key begins before it that goes on after it, or may."""
    free = start
    for at, stop, is_open in _blocks(text, start, len(text)):
        if at < bound and (is_open or stop > bound):
            return at if text[at] == "-" else max(free, *(text.rfind(white, free, at) + 1 for white in " \n\t\r"))
        free = stop if stop > at else free
    return bound


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Where keys begin and end, and whether more text could make them longer."""
    at = begins(text, start, end)
    while at >= 0:
        stop, is_open = _extent(text, at, min(end, at + MAX_UNIT_CHARS))
        yield at, stop, is_open
        at = begins(text, max(stop, at + 1), end)


def _extent(text: str, at: int, end: int) -> tuple[int, bool]:
    """Where the key ends that begins at `at`; `at` itself where none does."""
    if text[at] in "aAg_":
        return secret_phrases.find(text, at, end)[1:]
    data = text[at:end].encode("ascii", "replace").decode()
    if data[0] not in "-P" or data[:6].lower() == "phrase":
        phrase, stop, is_open = secret_phrases.find(text, at, end)
        if phrase or is_open:
            return stop, is_open
        if data[0] in "pP" and not _OF_A_WALLET.search(text[max(0, at - 10) : at]):
            return at, False
        head = _PHRASE.match(data)
        stop = _WORDS.match(data, head.end()).end() if head else 0
        return at + stop, stop == len(data) or (not head and len(data) < _PHRASE_CHARS)
    header = _HEADER.match(data)
    if header is None:
        return at, _HEADER_OPEN.match(data) is not None
    body = _BODY.match(data, header.end())
    if last := _LAST.match(data, body.end()):
        return at + last.end(), False
    return at + body.end(), _LAST_OPEN.match(data, body.end()) is not None


def _is_key(block: str) -> bool:
    """Whether there is a key between its lines: enough of it, and nothing that only stands for one.

    What a format writes at the beginning of each key is no sign of chance, so every part is looked at.
    """
    head = _HEADER.match(block)
    body = block[head.end() :].partition("----")[0] if head else ""
    content = "".join(letter for letter in body.replace("\\n", "") if letter.isalnum())
    parts = [content[at : at + 64] for at in range(0, len(content), 48)][:12]
    return len(content) >= 32 and any(
        is_random(part) and not is_made_up(part[:40]) for part in parts if len(part) >= 32
    )


def begins(text: str, start: int = 0, end: int = sys.maxsize) -> int:
    """Where the first key may begin; -1 where none does."""
    part, first = text[start:end], -1
    if len(part) > LONG_CHARS:
        if found := _MARK.search(encodable(part)):
            return start + found.start()
        start += len(part) - secret_phrases.MAX_CHARS
        part = part[-secret_phrases.MAX_CHARS :]
    for mark in BEGINNINGS:  # asked about each piece of a text, so without more machinery
        if mark in part and (first < 0 or part.find(mark) < first):
            first = part.find(mark)
            part = part[: first + _MARK_CHARS]  # what comes later is not looked through for the others
    return first if first < 0 else start + first
