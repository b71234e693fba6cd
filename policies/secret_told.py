"""Secrets told in words: a key of something, a code to get back in, an account and its password side by side.

Each value is looked for from the words on, and no further than the context that a streamed text keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from lockgate.policies.patterns import compile_bytes, compile_pattern, encodable
from lockgate.policies.secret_values import is_hard, is_password, is_token
from lockgate.policies.spans import Span

_KEY = compile_bytes(
    r"(?i)[ .]key(?:[\"'`)*]{0,3}\s{0,2}(?:=>|:=|[:=]|\b(?:is|was)\b:?)\*{0,2}\s{0,4}|\s{0,2}\|\s{0,4})[\"'`<(]{0,2}"
    r"([A-Za-z0-9_+/=.~-]{20,})"
)
OTHER_KEY = compile_bytes(
    r"(?i)(?:primary|foreign|sort|partition|cache|object|s3|redis|row|unique|composite|surrogate|natural|public|hash|"
    r"range|"
    r"publishable|dedup\w*|group|item|issue|query|lookup|index\w*|search|storage|idempoten\w*|translation|i18n|message|"
    r"reference|ref|route|routing|shard|map|dict|trace|event|site|registry|bucket|"
    r"lock|host|gpg|pgp|rsa|signer|verif\w*|node|peer|"
    r"react|[0-9a-f]{12,}|(?:sha\d*|md5) ?\([\w.-]{0,18})$"
)
"""What stands before a key that is no secret."""
_CACHED = compile_pattern(r"^(?:[A-Za-z][\w.]*-)+[0-9a-f]{32,64}$")
"""The name of what is kept, and its hash."""
_PLAIN_KEY = compile_bytes(
    r"(?i)(?:\b|-D)(?:(?:use this|use the|with the|here is|here's|my|our|server|"
    r"isakmp|live|prod|production|staging|api|secret|access) key|master\.key[\"'`:)]{0,2}\s{1,4}|(?:recovery|backup|"
    r"activation|unlock|"
    r"scratch) codes?(?: is)?:?|"
    r"sonar\.login[ \t]?=|"
    r"key\w{0,12}[ \t]{0,2}:?=[ \t]{0,2}(?:\[\]byte\(|buffer\.from\(|bytes\(|b)[\"'`])"
    r"[ \t]{0,2}[\"'`]?([A-Za-z0-9_+/=.~-]{20,})"
)
_NUMBERS = compile_bytes(
    r"(?i:recovery key)\b[^\n\d]{0,20}((?:\d{6}-){7}\d{6})|"
    r"\b(?i:(?:licen[sc]e|product|activation|serial)(?: key| code|"
    r" number)?)[: =]{1,3}([A-Z0-9]{4,5}(?:-[A-Z0-9]{4,5}){3,5})\b|"
    r"\b(?:PIN|pin[ \t]?[:=]|(?i:passcode|one-time (?:password|code)|otp))(?: code)?(?: (?:for|"
    r"of) (?:[a-zA-Z']{1,12} ){0,3}[a-zA-Z]{1,12})?"
    r"(?: is|:| =|=)? {0,2}(\d{6,8})\b"
)
_SEED = compile_bytes(
    r"\b(?i:mfa|totp|otp|2fa)[ _-]?(?i:seed|key|secret)(?: key)?(?: is|:| =|=)? {0,2}[\"'`]?([A-Z2-7]{16,64})\b"
)
_COUNTED = frozenset(
    ("0000", "1111", "1234", "00000", "12345", "000000", "111111", "123456", "12345678", "0123", "4321")
)
_MEMBER = compile_bytes(
    r"(?i)\"username\\?\"\s{0,2}:\s{0,2}\\?\"[^\"\n]{1,60}\"\s{0,2},\s{0,8}\\?\"key\\?\"\s{0,2}:\s{0,2}\\?\"([0-9a-f]{32})|"
    r"\b(?:jwt|jws|auth\w*|api|signing|signature|encrypt\w*|crypto\w*|security|secrets?|credentials?|openai|"
    r"azure|stripe|"
    r"twilio|sendgrid|mailgun|algolia|cloudflare|datadog|pusher|"
    r"maps|crypt)\\?[\"']?[ \t]{0,2}(?::|=>)\s{0,8}[{\[]?[^{}\[\]]{0,120}?[\s\"']key\\?[\"']?"
    r"[ \t]{0,2}(?::|=>)[ \t]{0,2}\\?[\"']?([A-Za-z0-9_+/=.~-]{20,})"
)
"""A document's member that says what the key is for."""
_ACCOUNT = compile_bytes(
    r"\b(?i:(?:root|admin|administrator)[:/]|(?:ubuntu|postgres|sa|pi):)([^\s\"'`<>/:@,;|\\]{8,64})(?:[\s\"'`<>,;|"
    r")\\]|$)"
)
_ORACLE = compile_bytes(
    r"(?i)(?:\bthin:|\bsqlplus[ \t]+(?:-\w+[ \t]+){0,3}|\bconn(?:ect)?[ \t]+|\b(?:sqlldr|expdp|"
    r"impdp)[ \t]+)[\"']?[\w$#.]{1,40}/([^\s\"'/@]{4,64})@"
)
_EXPECT = compile_bytes(r"\bsend (?:-- )?\\?\"([^\s\"\\]{6,64})\\{1,2}[rn]")

_PIPED = compile_bytes(
    r"\becho {1,4}(?:-\w{1,6} {1,4})?[\"']?(?:[\w.-]{1,32}:)?([^\s\"'|:$]{6,64})[\"']? {0,4}\| {0,4}(?:sudo {1,4})?"
    r"(?:-\w{0,4}S|chpasswd|passwd|docker|podman|kinit|cryptsetup|gpg|openssl|base64)(?:[\s\"'`;|)\\]|$)"
)
"""A password that is piped into what asks for one."""
_MAY_BE_PIPED = compile_pattern(
    r"^echo(?:[ \t]+-\w+)?(?:[ \t]+(?:[^\s|]+(?:[ \t]*\|[^\S\n]*\S*(?:[ \t]+\S*)?|[ \t]*)|\S*))?$"
)
"""What may yet become one."""
MAX_PIPED_CHARS = 200
"""More than any find of it has."""


def unfinished(text: str, start: int) -> int:
    """Where a command begins after `start` of which more has to be seen; len(text) where none does."""
    at = text.rfind("echo ", start)
    is_open = at >= 0 and len(text) - at < MAX_PIPED_CHARS and _MAY_BE_PIPED.match(encodable(text[at:]))
    return at if is_open else len(text)


TOLD = (_KEY, _PLAIN_KEY, _MEMBER, _NUMBERS, _SEED, _ACCOUNT, _ORACLE, _EXPECT, _PIPED)
"""What a first look asks for."""


def secrets_told(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """The secrets in a text of single-byte characters."""
    for match in _KEY.finditer(data) if _KEY in met else ():
        before = data[max(0, match.start() - 24) : match.start()]
        if before[-1:].isalnum() and not OTHER_KEY.search(before) and _is_key(match.group(1)):
            yield Span(match.start(1), match.end(1), "api-key")
    plain = _PLAIN_KEY.finditer(data) if _PLAIN_KEY in met else ()
    for match in (*plain, *(_MEMBER.finditer(data) if _MEMBER in met else ())):
        group = match.re.groups if match.group(match.re.groups) else 1
        if _is_key(match.group(group)):
            yield Span(match.start(group), match.end(group), "api-key")
    for match in _NUMBERS.finditer(data) if _NUMBERS in met else ():
        group = next(number for number in (1, 2, 3) if match.group(number))
        value = match.group(group).decode("ascii")
        if value not in _COUNTED and any(map(str.isdigit, value)):
            yield Span(match.start(group), match.end(group), "pin" if group == 3 else "key")
    for match in _SEED.finditer(data) if _SEED in met else ():
        if is_token(match.group(1).decode("ascii")):
            yield Span(match.start(1), match.end(1), "otp-seed")
    yield from _accounts(data, met)


def _is_key(value: bytes) -> bool:
    text = value.decode("ascii")
    if _CACHED.match(text):
        return False
    return is_token(text, strong=False) and not (text.isupper() and len(text) <= 40)  # fingerprints are written so


def _accounts(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """Passwords beside the names of accounts, and what a script answers when it is asked for one."""
    for match in _ACCOUNT.finditer(data) if _ACCOUNT in met else ():
        value = match.group(1).decode("ascii").rstrip(".!?")
        if (is_hard(value) and not value.isalnum()) or is_token(value):
            yield Span(match.start(1), match.start(1) + len(value), "password")
    for match in _ORACLE.finditer(data) if _ORACLE in met else ():
        if is_password(match.group(1).decode("ascii"), quoted=True):
            yield Span(match.start(1), match.end(1), "password")
    for match in _PIPED.finditer(data) if _PIPED in met else ():
        if is_password(match.group(1).decode("ascii"), quoted=True):
            yield Span(match.start(1), match.end(1), "password")
    for match in _EXPECT.finditer(data) if _EXPECT in met else ():
        if is_hard(match.group(1).decode("ascii")):
            yield Span(match.start(1), match.end(1), "password")
