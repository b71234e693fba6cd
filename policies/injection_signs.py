"""What gives away an instruction hidden in the result of a tool: signs, each with a weight, and where they stand."""

from __future__ import annotations

import base64
import binascii
import html
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lockgate.policies.first_look import FirstLook, single_bytes
from lockgate.policies.patterns import compile_pattern, encodable, re2
from lockgate.policies.spans import Span, merged

SIGNS = Path(__file__).with_name("injections.toml")
_DOCUMENT: dict[str, Any] = tomllib.loads(SIGNS.read_text("utf-8"))
_HIDDEN_HTML = compile_pattern(_DOCUMENT["hidden_html"])
_TALK = compile_pattern(_DOCUMENT["talk"])
_BLOB = compile_pattern(r"[A-Za-z0-9+/_-]{48,}={0,2}")
_ESCAPES = compile_pattern(
    r"(?i)(?:\S{0,40}?%20){3,}\S{0,60}|"
    r"(?:[^\n]{0,20}?(?:&#(?:x[46][1-9a-f]|x[57][0-9a]|6[5-9]|[7-9]\d|1[01]\d|12[0-2]);|\\u00[4-7][0-9a-f])){3,}[^\n]{0,80}"
)
"""Rows of letters, which nobody has to escape, or of blanks in an address."""
_UNICODE = re.compile(r"\\u(00[2-7][0-9a-fA-F])")
_LETTERS = compile_pattern(r"(?:\b[A-Za-z](?: {1,4}|[-._*]{1,2} {0,3})){9,}[A-Za-z]\b")
_JOINING = str.maketrans("", "", "-._*")
_TAG = re.compile("[\U000e0020-\U000e007e]{4,}")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_FOLDED = {"\u017f": "s", "\u212a": "k"}
"""Letters beyond ASCII that patterns take for others which are in it."""
_HIDDEN_LETTERS = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ufe00-\ufe0f]+")
SETS = 12
"""Parts of a sentence that may be apart make states that multiply in one set: more sets have fewer states to build."""
MAX_FINDS = 50
"""No more of one pattern count in a text."""
AROUND_CHARS = 240
MAX_ESCAPES = 50
"""So many rows of escapes of a text are read: each is as dear as a short text."""
ACTS = frozenset({"order", "exfiltration", "danger", "unasked"})
"""What people ask each other for as well: by itself it says little."""
WEAK = ACTS | {"named", "duty", "authority", "output", "task", "trigger", "user", "reminder"}
"""What manuals of programs that use models are full of: none of it says much unless an act does harm."""
WEAK_SCORE = 0.45
TOLD = 0.15
"""A sign that weighs less is no reason."""
NEAR_CHARS = 300
"""Signs that stand further apart say nothing together."""
_GUIDE = compile_pattern(
    r"(?i)^(?:\s*\d*[→\t: ]*)?(?:<!--[^\n]*\n)?\s*(?:\d+[→\t: ]*)?#{1,3} ?(?:agents?(?:\.md)?|claude(?:\.md)?|"
    r"gemini\.md|"
    r"(?:github )?copilot(?: |-)instructions|cursor rules|(?:instructions|guid\w+|rules) for (?:ai|coding|"
    r"automated)[ -]\w+|"
    r"ai (?:agents?|assistants?|contribut\w+) (?:guid\w+|instructions|rules)|repository guidelines)\b"
)
"""How a file begins in which a project tells agents how to work in it: to speak to them is no sign there."""
_OPENING = compile_pattern("(?:^|[^:,] |[(\\[{=>r])[\"'`“‘«「][^\"'`“”‘’«»「」]{0,40}$|[“‘«「][^”’»」]{0,40}$")
_CLOSING = compile_pattern("^[^\"'`”’»」\n]{0,60}[\"'`”’»」]")
_GOES_ON = compile_pattern("^[^\"'`”’»」\n]{0,60}[\"'`”’»」] [a-z]")
_GOING_ON = compile_pattern("(?:^|[ (\\[{=>r])[\"'`“‘«「][^\"'`“”‘’«»「」]{0,40}$|[“‘«「][^”’»」]{0,40}$")
"""A quotation in a sentence that goes on behind it may stand behind a colon: it is no value of a document."""
_BLOCK = compile_pattern("(?:```\\w*\n[^`]{0,60}|\n\\s*(?:>|\\||[-*]|\\d+[.:)])[^\n]{0,30})$")
"""A block of code, a quotation or a list, where a text that speaks of attacks shows them."""
_DENIED = compile_pattern(r"(?i)\b(?:not|never|don't|nothing|nobody)\b[^.;:!?\n]{0,50}$")
"""Before `without`: nothing is to be done without asking."""
_BIDDING = compile_pattern(
    r"(?i)^[^.\n]{0,40}?(?:[:,—–)\]-]|\bplease|\bkindly|\bmust|\bshould|\bnow|\bfirst|\b(?:have|has|need)s? to|"
    r"\bto|\bshall|\bmüssen|\bsoll)\s{1,3}"
    r"(?:please |kindly |also |now |first |always |do not |never )?" + _DOCUMENT["words"]["does"] + r"\b"
)
"""After an address: it is told to do something."""
_SCOPED = compile_pattern(_DOCUMENT["scoped"])
_REPORTED = compile_pattern(_DOCUMENT["reported"])
_OWN = compile_pattern(_DOCUMENT["own"])
_FORBIDDEN = compile_pattern(
    r"(?i)(?:\b(?:do|does|must|should|shall|may|will|can|to|we|and|or) not|\bnever|\b(?:do|ca|wo|must|should)n['’]t|"
    r"\bcannot)(?: ever| again| just| simply)? {1,3}$"
)
"""Before an act: not to do it is no harm."""
_FORBIDDABLE = frozenset({"danger", "exfiltration", "prompt", "override"})


@dataclass(frozen=True, slots=True)
class Finding:
    """How much a text looks like an instruction to the model, why, and where the lines stand that do."""

    score: float
    signs: tuple[str, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Sign:
    name: str
    weight: float
    start: int
    end: int
    number: int = -1
    """Which pattern found it."""


def _read() -> Iterator[tuple[str, float, str]]:
    """Every pattern with its sign's name and weight, its words put in."""
    for sign in _DOCUMENT["signs"]:
        for pattern in sign["patterns"]:
            for _ in range(3):  # words may be made of others
                for name, words in _DOCUMENT["words"].items():
                    pattern = pattern.replace(f"<{name}>", words)
            yield sign["name"], sign["weight"], pattern.replace(" {1,3}", " ").replace(" ", r"(?:[\s*>#\\]{1,6})")


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, 256 << 20
    return options


def _roughened(text: str) -> bytes:
    """The text with one byte for each letter, as rough patterns read it."""
    if not text.isascii():
        for letter, usual in _FOLDED.items():  # translate() takes 0.3 s a MB
            text = text.replace(letter, usual)
        text = _NOT_ASCII.sub("\xff", text)
    return text.encode("latin-1")


@cache
def _look() -> FirstLook:
    """Made when first needed, so that a start is quick."""
    return FirstLook([pattern for _, _, pattern in _PATTERNS], sets=SETS, ignore_case=True)


def _met(text: str) -> list[int]:
    """The numbers of the patterns that may be found in the text; all others are not."""
    return sorted(_look().may_find(_roughened(text)))


@cache
def _compiled(number: int, *, is_ascii: bool = False) -> Any:
    """The pattern for any text, or, half as dear, for the bytes of one that is ASCII."""
    options = _options()
    if not is_ascii:
        return re2.compile(_PATTERNS[number][2], options)
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(single_bytes(_PATTERNS[number][2]), options)


_PATTERNS = tuple(_read())
_ORDERS = frozenset(number for number, (name, *_) in enumerate(_PATTERNS) if name == "order")


def examine(text: str) -> Finding:
    """Looks at a whole text: in what it shows, in what it hides, in what it encodes."""
    plain, places = _plain(text)
    signs = [*_signs(plain), *_encoded(plain), *_escaped(plain), *_spelled(plain)]
    shown = [sign if places is None else _moved(sign, places) for sign in signs]
    hidden = list(_hidden(text, plain if places is None else ""))
    every = [*shown, *hidden]
    if _GUIDE.search(encodable(text[:200])):
        every = [sign for sign in every if sign.name not in ("address", "mention", "named", "duty", "order", "trigger")]
    if every:
        own: list[tuple[int, int]] = [found.span() for found in _OWN.finditer(encodable(text))]
        every = [sign for sign in every if not any(begin <= sign.start < stop for begin, stop in own)]
    if not every:
        return Finding(0.0, (), ())
    score, names = max((_together(every, sign) for sign in every), key=lambda found: found[0])
    spans = tuple(Span(*_line(text, sign.start, sign.end), sign.name) for sign in every if sign.weight >= 0.2)
    return Finding(score, names, spans)


def _together(signs: Sequence[_Sign], first: _Sign) -> tuple[float, tuple[str, ...]]:
    """What the signs from this one on say that stand near each other: each sort counts once, by its clearest sign."""
    best: dict[str, float] = {}
    for sign in signs:
        if first.start <= sign.start <= first.start + NEAR_CHARS:
            best[sign.name] = max(best.get(sign.name, 0.0), sign.weight)
    told = tuple(name for name in sorted(best, key=lambda name: -best[name]) if best[name] >= TOLD) or tuple(best)
    if best.keys() <= ACTS:
        return round(max(best.values()), 3), told
    clear = 1.0
    for weight in best.values():
        clear *= 1 - weight
    score = min(1 - clear, WEAK_SCORE) if best.keys() <= WEAK and not _is_harm(best.keys()) else 1 - clear
    return round(score, 3), told


def _is_harm(names: Set[str]) -> bool:
    """Whether weak signs say together that something shall be done, and what no manual asks for."""
    return bool(names & {"exfiltration", "danger"} or (names & {"output", "user"} and names & {"named", "duty"}))


def _plain(text: str) -> tuple[str, list[int] | None]:
    """The text as it reads: invisible characters left out, look-alike letters as the usual ones; and their places."""
    if text.isascii():
        return text, None
    hidden = list(_HIDDEN_LETTERS.finditer(text))
    usual = encodable(_NOT_ASCII.sub(lambda found: _usual(text, found.start()), text))
    if not hidden:
        return usual, None
    places, at = list[int](), 0
    for row in hidden:
        places += range(at, row.start())
        at = row.end()
    places += range(at, len(text))
    return "".join(usual[place] for place in places), places


def _usual(text: str, at: int) -> str:
    """The usual form of a letter; a look-alike is only what stands among letters of the other script."""
    letter = text[at]
    if letter.isascii():
        return letter
    around = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
    if letter in _LOOKALIKES and any(other.isascii() and other.isalpha() for other in around):
        return _LOOKALIKES[letter]
    usual = unicodedata.normalize("NFKC", letter)
    return usual if len(usual) == 1 else letter


_LOOKALIKES = dict(
    zip("аеорсухіјѕԁһΑΒΕΖΗΙΚΜΝΟΡΤΥΧονІЅЈАВЕКМНОРСТХ", "aeopcyxijsdhABEZHIKMNOPTYXovISJABEKMHOPCTX", strict=True)
)


def _moved(sign: _Sign, places: list[int]) -> _Sign:
    return _Sign(sign.name, sign.weight, places[sign.start], places[sign.end - 1] + 1, sign.number)


def _signs(text: str) -> Iterator[_Sign]:
    """An order is looked for near other signs only: people give orders all day, and alone it says nothing."""
    is_ascii = text.isascii()
    subject = text.encode() if is_ascii else text
    met = _met(text)
    found = list[_Sign]()
    for number in met:
        if number not in _ORDERS:
            found += islice(_found(text, number, _compiled(number, is_ascii=is_ascii).finditer(subject)), MAX_FINDS)
    near = merged(Span(max(0, sign.start - NEAR_CHARS), sign.end + NEAR_CHARS, sign.name) for sign in found)
    for number in _ORDERS.intersection(met) if near else ():
        pattern = _compiled(number, is_ascii=is_ascii)
        matches = (match for place in near for match in pattern.finditer(subject, place.start, place.end))
        found += islice(_found(text, number, matches), MAX_FINDS)
    yield from found


def _found(text: str, number: int, matches: Iterable[Any]) -> Iterator[_Sign]:
    name, weight, _ = _PATTERNS[number]
    for match in matches:
        start, end = match.span()
        if text[start:end].lstrip()[:7].lower() == "without" and _DENIED.search(text[max(0, start - 60) : start]):
            continue
        if name in _FORBIDDABLE and _FORBIDDEN.search(text[max(0, start - 30) : start]):
            continue
        standing = _standing(text, start, end, name in ACTS)
        yield _Sign(name, weight * standing, start, end, number)
        if name in ("address", "mention") and standing > 0.7 and _BIDDING.search(text[end - 1 : end + 80]):
            yield _Sign("bidding", 0.12, start, end, number)


def _standing(text: str, start: int, end: int, is_act: bool) -> float:
    """How much a find counts: less where the text only speaks of it, quotes it, or says what it is about."""
    before, after = text[max(0, start - AROUND_CHARS) : start], text[end : end + AROUND_CHARS // 2]
    found = [match for match in _TALK.finditer(f"{before} {after}".encode()) if match[1] or match[2]]
    talk = 2 * len({match[1].lower() for match in found if match[1]}) + any(match[2] for match in found)
    if talk > 1 and _is_in(_BLOCK, before[-80:]):
        talk += 1
    scoped = 0.5 if (not is_act and _is_in(_SCOPED, after[:60])) or _is_in(_REPORTED, before[-60:]) else 1.0
    if is_act and before.rpartition("\n")[2].lstrip().startswith("$ "):
        scoped *= 0.8  # at a prompt it was done, and is not asked for
    quoted = _is_quoted(before, after, is_talk=talk > 1)
    if quoted and not (is_act and not talk):  # a command is often quoted
        return scoped * (0.1 if talk else 0.35)
    return scoped * (1.0, 0.8, 0.45, 0.2)[min(talk, 3)]


def _is_quoted(before: str, after: str, *, is_talk: bool) -> bool:
    """Whether it stands in a short quotation, and not in the value of a document that speaks of something else."""
    opening = _GOING_ON if is_talk or _is_in(_GOES_ON, after[:80]) else _OPENING
    return _is_in(_CLOSING, after[:80]) and _is_in(opening, before[-60:])


def _is_in(pattern: Any, text: str) -> bool:
    return pattern.search(text.encode()) is not None  # in bytes: no place is asked for


def _hidden(text: str, plain: str) -> Iterator[_Sign]:
    for tag in _TAG.finditer(text) if not text.isascii() else ():
        if text[tag.start() - 1 : tag.start()] == "\U0001f3f4" and len(tag.group()) <= 6:
            continue  # the flag of a region
        said = "".join(chr(ord(letter) - 0xE0000) for letter in tag.group())
        yield _Sign("tags", 0.9 if " " in said or any(_signs(said)) else 0.6, tag.start(), tag.end())
    if "<" not in text and "[//]" not in text:
        return
    for match in _HIDDEN_HTML.finditer(encodable(text)):
        group = next(n for n in range(1, 5) if match.group(n))
        inside = list(_signs(match.group(group)))
        if any(sign.weight >= (0.4 if sign.name in ACTS else 0.3) for sign in inside):
            yield _Sign("hidden", 0.45 * _standing(text, match.start(), match.end(), False), match.start(), match.end())


def _spelled(text: str) -> Iterator[_Sign]:
    """Words spelled letter by letter."""
    for match in _LETTERS.finditer(text):
        words = match.group()
        if not words[1:4].isspace() and any(mark in words for mark in "-._*"):
            words = words.translate(_JOINING)
        else:
            words = words.replace("   ", "\0").replace("  ", "\0").replace(" ", "").replace("\0", " ")
        if any(sign.weight >= 0.4 for sign in _signs(words)):
            yield _Sign("spelled", 0.7, match.start(), match.end())


def _escaped(text: str) -> Iterator[_Sign]:
    """Lines of character references, of URLs or of JSON."""
    if "&#" not in text and "%20" not in text and "\\u00" not in text:
        return
    for match in islice(_ESCAPES.finditer(encodable(text)), MAX_ESCAPES):
        said = html.unescape(unquote(_UNICODE.sub(lambda found: chr(int(found[1], 16)), match.group())))
        if any(sign.weight >= 0.4 and sign.name not in ACTS for sign in _signs(said)):
            yield _Sign("encoded", 0.7, match.start(), match.end())


def _encoded(text: str) -> Iterator[_Sign]:
    for match in _BLOB.finditer(text):
        blob = match.group().rstrip("=")
        try:
            said = base64.urlsafe_b64decode(
                (blob + "=" * (-len(blob) % 4)).replace("+", "-").replace("/", "_")
            ).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if said.isprintable() and " " in said and any(sign.weight >= 0.4 for sign in _signs(said)):
            yield _Sign("encoded", 0.7, match.start(), match.end())


def _line(text: str, start: int, end: int) -> tuple[int, int]:
    """From the beginning of the sentence or line to its end."""
    begin, stop = -1, len(text)
    for mark in ("\n", ". ", "! ", "? ", "<!--"):  # each no further than the one before it, as the text is long
        begin = max(begin, text.rfind(mark, max(begin, 0), start))
    for mark in ("\n", ". ", "! ", "? ", "-->"):
        if (at := text.find(mark, end, stop)) >= 0:
            stop = at
    return begin + 1, stop
