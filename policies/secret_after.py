"""Secrets in sentences: "use X as the password", "X is our staging key", "the secret between both ends is X".

Value and name stand in one line, a few words apart. What may be a value whose name follows is held back in a streamed
text until those words are there, so that every cut of the text gives the same finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from lockgate.policies.patterns import compile_bytes, compile_pattern
from lockgate.policies.secret_values import is_chosen, is_hard, is_password, is_random, is_token
from lockgate.policies.spans import Span

_SAYS = "is was that as are ist als come como comme est es should works serves goes that's thats which"
_MARKS = "<- <-- - -- # //"
_WHEN = "when if once"
_INTO = "for into in to under"
_PASSWORD = (
    r"pass(?:word|wort|phrase|code)?|passwd|pwd|pw|pin|psk|kennwort|contrasena|clave|senha|mot de passe|wachtwoord"
)
_KEY = r"secrets?|tokens?|api[ _-]?key|credentials?|key|jeton|passkey|schlussel|cle api|authorization"
_PLAIN = r"[A-Za-z?][A-Za-z?'/_-]*"
_FOLLOWS = (
    r"for of to on when if at in and but or until from now again please then here today with that which so it you we "
    r"they via there is was has field box header prompt input called named shared used by this after before once "
    r"while only too yesterday tomorrow works worked belongs del de des du fur pour para per voor auf im"
)
BETWEEN = f"{_SAYS} {_MARKS} {_WHEN} {_INTO}".split()
_AFTER = compile_bytes(
    rf"(?i)[\"'`)*\]]{{0,3}}[,;:.]?[ ]{{1,3}}(?:(\()|(?:{'|'.join(BETWEEN)}"
    rf"|\?{{1,3}})[ ]{{1,2}})((?:{_PLAIN} ){{0,7}}?[\"'`(]{{0,2}}(?:[a-z]+_)*)"
    rf"(?:({_PASSWORD})|({_KEY}))[\"'`*)]{{0,3}}"
    rf"(?:$|[.,;:!?)\]<]|[ \t]{{0,2}}[\r\n]| (?:{'|'.join(_FOLLOWS.split())})[ ,.\n]| [-(?])"
)
"""From the end of a value to what follows its name."""
_AFTER_PLACES = compile_bytes(_AFTER.pattern.decode(), groups=False)
_TOLD = compile_bytes(
    rf"(?i)\b(?:[a-z]+_)*(?:({_PASSWORD.replace('code)?|', 'code)|').replace('|pin|', '|')})|({_KEY})|"
    rf"auth[a-z]* header)\b[\"'`)]{{0,2}}(?:'s)?((?:[,;]? [\w?.'/-]{{1,24}}){{1,10}}?)"
    r"(?: (?:is|was|be|to|now|ist|lautet|est|es|e|=|are)(?: now| still)?:?|:) {1,2}[\"'`(]{0,2}([^\s\"'`<>()]{6,200})"
)
"""From a name to a value that a sentence gives it."""
SENTENCES = (_AFTER, _TOLD)
"""What a first look asks for."""
_OTHER = compile_bytes(
    r"(?i)\b(?:ids?|names?|hash|hashes|digest|versions?|commit|url|path|file|type of|length|fix|bug|ticket|release|"
    r"whose|primary|foreign|sort|partition|cache|object|row|unique|composite|"
    r"public|range|publishable|dedup\w*|group|index|search|lookup|idempoten\w*|translation|i18n|message|route|routing|"
    r"shard|map|dict|trace|event|site|registry|bucket|lock|host|gpg|pgp|rsa|node|peer|react|page|next|csrf|xsrf|"
    r"cancel\w*|sync|cursor|continuation|special|mask|stop|last|first|rules?|polic\w+|not|no|never|than|without|"
    r"hashed|expired|fingerprint)[ _]"
)
"""What says that it is no secret, or another one."""
_OF = compile_bytes(r"(?i)\b(?:of|for|about|with|that|where|from|behind) ")
_ASKS = compile_bytes(r"(?i)\b(?:ask|prompt|want|request|need|quer)")
_PLACE = compile_bytes(
    r"(?i) (?:be the|field|box|header|prompt|input|called|named)|[A-Z]{2,}_?(?:TOKEN|KEY|SECRET|PASS)"
)
_STRONG = compile_bytes(
    r"(?i)secret|token|api|sign|auth|access|private|encrypt|master|prod|stag|bearer|admin|deploy|live"
)
_SECRET = compile_bytes(r"(?i)secret|credential|token")
_ID = compile_pattern(r"^(?:[0-9a-f]{40}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27})$")
MAX_WORDS = 12
"""More than stand between a value and what follows its name."""
MAX_CHARS = 400
MIN_LETTERS = 12
"""A shorter word of letters alone is no secret."""
_LEAD = compile_pattern(r"^(?:[\w.:$-]{0,60}[\"'`(<\[{*]+)+")
"""What a value stands in: quotes, a call."""
_SIGNS = "\"'`<>()[]{}*.,;:!?#-=/\u2190\u2192\u2013\u2014"
_STARTS = frozenset(("", "?", *BETWEEN))


def secrets_in_sentences(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """The secrets in a text of single-byte characters."""
    if _AFTER in met:
        yield from _before_names(data)
    if _TOLD in met:
        yield from _told_of(data)


def _before_names(data: bytes) -> Iterator[Span]:
    for place in _AFTER_PLACES.finditer(data):
        at = place.start()
        head = data[max(0, at - MAX_CHARS) : at]
        if not head or head[-1:].isspace():
            continue
        match = _AFTER.match(data, at)
        if _is_other(match.group(2)):
            continue
        word = head.split()[-1].decode("ascii")
        value = _LEAD.sub("", word, 1)
        if value and ">" not in value and _is_secret(value, value != word, match.group(3) is not None, match.group()):
            yield Span(match.start() - len(value), match.start(), "password" if match.group(3) else "api-key")


def _told_of(data: bytes) -> Iterator[Span]:
    for match in _TOLD.finditer(data):
        value = match.group(4).decode("ascii").rstrip(".,;:")
        if _OTHER.search(match.group(3) + b" ") is None and _is_told(value, match.group(1) is not None, match.group()):
            yield Span(match.start(4), match.start(4) + len(value), "password" if match.group(1) else "api-key")


def _is_told(value: str, password: bool, said: bytes) -> bool:
    if "/" in value and is_hard(value):
        return is_token(value) and is_random(value)
    strong = (password or _STRONG.search(said) is not None) and not (_OF.search(said) and _ID.match(value))
    return (password and (is_hard(value) or is_chosen(value))) or is_token(value, strong=strong)


def _is_other(said: bytes) -> bool:
    """Whether what stands between them speaks of something else."""
    return (_OTHER.search(said) or _OF.search(said)) is not None and not _ASKS.search(said)


def _is_secret(value: str, quoted: bool, password: bool, said: bytes) -> bool:
    """Whether it is one, given what stands between it and what follows its name."""
    start = said.lower().split()[1 if said[:1].strip() else 0].decode("ascii")
    if (start in _WHEN.split() and not _ASKS.search(said)) or (start in _INTO.split() and not _PLACE.search(said)):
        return False
    if is_token(value, strong=password or _STRONG.search(said) is not None):
        return True
    if not (password or _SECRET.search(said)):
        return False
    signs = any(sign in value for sign in "!#$%&*@^+=~?")
    said_so = start in _SAYS.split() or start[0] == "("
    if said_so and is_chosen(value):
        return True
    if said_so and quoted and not value.isalpha() and is_password(value, quoted=True):
        return True
    return is_hard(value) and (signs or (said_so and (value[-2:].isdigit() or not value.isalnum())))


def unfinished(text: str, start: int) -> int:
    """Where a word stands at or after `start` that may be a secret, as its name may yet follow; else len(text)."""
    part = text[max(start, text.rfind("\n", start) + 1, len(text) - MAX_CHARS) :]
    if len(part) < MIN_LETTERS and part.replace(" ", "").isalpha():
        return len(text)
    words = part.split(" ")
    at, first, after, count = len(text) - len(words[-1]), len(text), "", 0
    for word in reversed(words[:-1]):
        at -= len(word) + 1
        letters = _is_plain(word)
        if not word or (letters and len(word) < MIN_LETTERS):
            count += 1
        elif (after.lower() in _STARTS or after[0] == "(" or not after.isascii()) and count <= MAX_WORDS:
            first, count = at, 0
        elif not letters:
            break
        after = word or after
    return first


def _is_plain(word: str) -> bool:
    """Whether it is a word of letters, or signs alone."""
    if word.isalpha():
        return True
    core = word.strip(_SIGNS)
    if not core:
        return True
    core = core.replace("'", "").replace("-", "").replace("_", "").replace("/", "")
    return core.isalpha() or (core[1:].islower() and core.replace(".", "").replace("(", "").isalpha())
