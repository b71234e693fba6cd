"""Secrets of several words: passphrases, passwords that issuers of mail write in groups, salts with blanks in them.

Each follows a mark. What is found, and whether more text could change that, depends on what follows the mark alone.
"""

from __future__ import annotations

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.secret_values import NAMING, is_made_up, is_random, is_wordy
from lockgate.policies.spans import Span

MARKS = ("assword", "ASSWORD", "gmail.com", "_KEY'", "_SALT'")
"""Beside "phrase", which the words of a wallet follow as well."""
MAX_CHARS = 240
"""From a mark to the end of its secret."""
_CLOSE, _OPEN = r"[\"'`\])*]{0,3}[ \t]{0,3}", r"[ \t]{0,3}(?:[\"'`*(]|\\\"){0,3}"
_SAID = r"(?:[ ][\w.@'-]{1,20}){0,6}?"
_QUADS, _SOME_QUADS = r"([a-z]{4}(?: [a-z]{4}){3})(?:[^A-Za-z0-9_]|$)", r"(?:[a-z]{4} ){0,3}[a-z]{0,4}$"
_FORMS = {
    "assword": rf"^(?i:assword){_CLOSE}(?:=>|[:=,]|is|was){_OPEN}{_QUADS}",
    "app": rf"^(?i:assword){_SAID} ?(?:[:=]|is|are|was)?{_CLOSE} {_OPEN}{_QUADS}",
    "gmail.com": rf"^gmail\.com[\"'`>)]{{0,2}},?[ \t]*\r?\n?[ \t]*"
    rf"(?:[\"']?\w{{0,12}}[\"']?[ \t]?[:=][ \t]?)?[\"'`]{{1,2}}{_QUADS}",
    "phrase": rf"^(?i:phrase)(?:{_SAID}{_CLOSE}(?:=>|[:=]){_OPEN}|{_CLOSE}(?:is|was)?[ \t]{{0,3}}(?:[\"'`]|\\\"))"
    r"((?:[a-z]{3,12} ){3,9}[a-z]{3,12})(?:[^A-Za-z0-9_]|$)",
    "_": r"^_(?:KEY|SALT)'\s{0,4},\s{0,12}'([^'\n]{32,128})'",
}
_FOUR = r"[ \"'`=:(*][a-z]{4} [a-z]{4} [a-z]{4} [a-z]{4}"
IN_LONG = rf"(?i:assword)[^\n]*{_FOUR}|gmail\.com[^\n]*\n?[^\n]*{_FOUR}|_(?:KEY|SALT)'[\s,]"
"""What is in each find that begins with a mark, but for the last MAX_CHARS of a text."""
_BEGUN = {
    "assword": rf"^(?i:assword){_CLOSE}[a-z:=,>]{{0,4}}[ \t]{{0,3}}[\"'`*(\\]{{0,4}}{_SOME_QUADS}",
    "app": rf"^(?i:assword)(?:[ ][\w.@'-]{{0,20}}){{0,9}}[\"'`:=*()\] ]{{0,9}}{_SOME_QUADS}",
    "gmail.com": rf"^gmail\.com[\"'`>)]{{0,2}},?[ \t]*\r?\n?[ \t]*"
    rf"[\"']?\w{{0,12}}[\"']?[ \t]?[:=]?[ \t]?[\"'`]{{0,2}}{_SOME_QUADS}",
    "phrase": rf"^(?i:phrase)(?:[ ][\w.@'-]{{0,20}}){{0,7}}{_CLOSE}[:=>]{{0,2}}[ \t]{{0,3}}[\"'`*(\\]{{0,4}}"
    r"(?:[a-z]{0,12} ){0,9}[a-z]{0,12}$",
    "_": r"^_(?:KEY|SALT)'\s{0,4},?\s{0,12}(?:'[^'\n]{0,128})?$",
}
"""What may yet become each."""
_AN_APP = compile_pattern(r"(?i)\b(?:app|application|device|app-specific)[ _-]?p$")
_A_PASSPHRASE = compile_pattern(r"(?i)pass[ _-]?p$")
_A_SALT = compile_pattern(r"(?i)define\(\s{0,4}'\w{0,24}_$")
_ENDINGS = ("ing", "ed", "ly", "ion")
_SENTENCE = (
    "the and for from with into not your our this that get set use see has was are out all via must should shall will "
    "would could can may might cannot needs need enter leave keep choose pick make give match "
    "provide confirm repeat save write remember ask uses contain contains include between least most more than "
    "characters letters words digits numbers same different again first last next each every any some none never "
    "always "
    "also very just like them they then there these those what when where which while who why how you his her its "
    "their "
    "one two three four before after above below under over about against during without because since until unless "
    "please help here per but yet nor either neither both though given phrase phrases passphrase line end start"
)
_OF_SENTENCES = frozenset(_SENTENCE.split())
_MIN_WORDS = 4


def find(text: str, at: int, end: int) -> tuple[Span | None, int, bool]:
    """The secret of the mark at `at` in text[:end], where what tells it ends, and whether more text could change it."""
    sort = _sort(text, at)
    if not sort:
        return None, at, False
    data = text[at : min(end, at + MAX_CHARS)].encode("ascii", "replace").decode()
    is_open = len(data) < MAX_CHARS and compile_pattern(_BEGUN[sort]).match(data) is not None
    if match := compile_pattern(_FORMS[sort]).match(data):
        size = _size(sort, match.group(1))
        span = Span(at + match.start(1), at + match.start(1) + size, "passphrase" if sort == "phrase" else "password")
        return (span, at + match.end(), is_open) if size else (None, at, is_open)
    return None, at, is_open


def _sort(text: str, at: int) -> str:
    before = text[max(0, at - 40) : at + 1].encode("ascii", "replace").decode()
    if text[at] == "_":
        return "_" if _A_SALT.search(before) else ""
    if text[at] == "g":
        return "gmail.com"
    if text[at] in "pP":
        return "phrase" if _A_PASSPHRASE.search(before) else ""
    return "app" if _AN_APP.search(before[:-1]) else "assword"


def _size(sort: str, value: str) -> int:
    """How much of it is secret."""
    if sort == "_":
        return len(value) if is_random(value) and any(map(str.isdigit, value)) else 0
    if sort != "phrase":
        return 0 if is_wordy(value.replace(" ", ""), share=0.75) else len(value)
    words = value.split(" ")
    words = words[: next((number for number, word in enumerate(words) if word in _OF_SENTENCES), len(words))]
    usual = [word for word in words if word in NAMING or word.endswith(_ENDINGS)]
    is_prose = len(words) < _MIN_WORDS or len(usual) > len(words) // 4
    return 0 if is_prose or is_made_up("-".join(words)) else len(" ".join(words))
