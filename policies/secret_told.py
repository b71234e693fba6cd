"""Secrets told in words: a key of something, a code to get back in, an account and its password side by side.

Each value is looked for from the words on, and no further than the context that a streamed text keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from lockgate.policies.patterns import compile_bytes, compile_pattern, encodable
from lockgate.policies.secret_values import is_hard, is_password, is_token
from lockgate.policies.spans import Span

TOLD_HINT = (
    r"echo [^\n|]{6,100}\||"
    r"[ .]key[\"'`)*]{0,3}\s{0,2}(?:=|:|is|was|\|)|\b(?:use this|here is|here's|my|our) key |\bcodes?[ :]|\.login|"
    r"(?:root|admin|administrator|ubuntu|postgres|sa|pi)[:/]|\bkey\\?\"?[ \t]{0,2}:|thin:|sqlplus|sqlldr|expdp|impdp|"
    r"\bsend "
)
"""Without it, nothing here finds anything; whatever the case."""
_KEY = compile_bytes(
    r"(?i)[ .]key(?:[\"'`)*]{0,3}\s{0,2}(?:=>|:=|[:=]|\b(?:is|was)\b:?)\*{0,2}\s{0,4}|\s{0,2}\|\s{0,4})[\"'`<(]{0,2}"
    r"([A-Za-z0-9_+/=.~-]{20,})"
)
_OTHER_KEY = compile_bytes(
    r"(?i)(?:primary|foreign|sort|partition|cache|object|s3|redis|row|unique|composite|surrogate|natural|public|hash|"
    r"range|"
    r"publishable|dedup\w*|group|item|issue|query|lookup|index\w*|search|storage|idempoten\w*|translation|i18n|message|"
    r"route|routing|shard|map|dict|trace|event|site|registry|bucket|lock|host|gpg|pgp|rsa|signer|verif\w*|node|peer|"
    r"react)$"
)
"""What stands before a key that is no secret."""
_PLAIN_KEY = compile_bytes(
    r"(?i)\b(?:(?:use this|here is|here's|my|our) key|(?:recovery|backup|activation|unlock|scratch) codes?(?: is)?:?|"
    r"sonar\.login[ \t]?=)[ \t]{0,2}[\"'`]?([A-Za-z0-9_+/=.~-]{20,})"
)
_MEMBER = compile_bytes(
    r"(?i)\b(?:jwt|jws|auth\w*|api|signing|signature|encrypt\w*|crypto\w*|security|secrets?|credentials?|openai|"
    r"azure|stripe|"
    r"twilio|sendgrid|mailgun|algolia|cloudflare|datadog|pusher|"
    r"maps)\\?\"?[ \t]{0,2}:\s{0,8}\{?[^{}]{0,120}?[\s\"]key\\?\"?"
    r"[ \t]{0,2}:[ \t]{0,2}\\?[\"']?([A-Za-z0-9_+/=.~-]{20,})"
)
"""A document's member that says what the key is for."""
_ACCOUNT = compile_bytes(
    r"\b(?i:(?:root|admin|administrator)[:/]|(?:ubuntu|postgres|sa|pi):)([^\s\"'`<>/:@,;|\\]{8,64})(?:[\s\"'`<>,;|"
    r")\\]|$)"
)
_ORACLE = compile_bytes(
    r"(?i)(?:\bthin:|\bsqlplus[ \t]+(?:-\w+[ \t]+){0,3}|\b(?:sqlldr|expdp|"
    r"impdp)[ \t]+)[\"']?[\w$#.]{1,40}/([^\s\"'/@]{4,64})@"
)
_ORACLE_TOOLS = (b"thin:", b"sqlplus", b"sqlldr", b"expdp", b"impdp")
_EXPECT = compile_bytes(r"\bsend (?:-- )?\\?\"([^\s\"\\]{6,64})\\{1,2}[rn]")

_PIPED = compile_bytes(
    r"\becho {1,4}(?:-\w{1,6} {1,4})?[\"']?(?:[\w.-]{1,32}:)?([^\s\"'|:$]{6,64})[\"']? {0,4}\| {0,4}(?:sudo {1,4})?"
    r"(?:-\w{0,4}S|chpasswd|passwd|docker|podman|kinit|cryptsetup|gpg|openssl)(?:[\s\"'`;|)\\]|$)"
)
"""A password that is piped into what asks for one."""
_MAY_BE_PIPED = compile_pattern(
    r"^echo(?:[ \t]+-\w+)?(?:[ \t]+(?:[^\s|]+(?:[ \t]*\|[^\S\n]*\S*(?:[ \t]+\S*)?|[ \t]*)|\S*))?$"
)
"""What may yet become one."""
FORMS = (_KEY, _PLAIN_KEY, _MEMBER, _ACCOUNT, _ORACLE, _PIPED, _EXPECT)
MAX_PIPED_CHARS = 200
"""More than any find of it has."""


def unfinished(text: str, start: int) -> int:
    """Where a command begins after `start` of which more has to be seen; len(text) where none does."""
    at = text.rfind("echo ", start)
    is_open = at >= 0 and len(text) - at < MAX_PIPED_CHARS and _MAY_BE_PIPED.match(encodable(text[at:]))
    return at if is_open else len(text)


def secrets_told(data: bytes, lowered: bytes, met: Set[Any]) -> Iterator[Span]:
    """The secrets in a text of single-byte characters, by those of the forms that may be found there."""
    for match in _KEY.finditer(data) if _KEY in met and (b" key" in lowered or b".key" in lowered) else ():
        before = data[max(0, match.start() - 24) : match.start()]
        if before[-1:].isalnum() and not _OTHER_KEY.search(before) and _is_key(match.group(1)):
            yield Span(match.start(1), match.end(1), "api-key")
    member = _MEMBER in met and (b'key"' in lowered or b"key\\" in lowered or b"key:" in lowered)
    plain = _PLAIN_KEY in met and (b" key " in lowered or b" code" in lowered or b"sonar" in lowered)
    for match in (*(_PLAIN_KEY.finditer(data) if plain else ()), *(_MEMBER.finditer(data) if member else ())):
        if _is_key(match.group(1)):
            yield Span(match.start(1), match.end(1), "api-key")
    yield from _accounts(data, lowered, met)


def _is_key(value: bytes) -> bool:
    text = value.decode("ascii")
    return is_token(text, strong=False) and not (text.isupper() and len(text) <= 40)  # fingerprints are written so


def _accounts(data: bytes, lowered: bytes, met: Set[Any]) -> Iterator[Span]:
    """Passwords beside the names of accounts, and what a script answers when it is asked for one."""
    for match in _ACCOUNT.finditer(data) if _ACCOUNT in met else ():
        value = match.group(1).decode("ascii").rstrip(".!?")
        if is_hard(value) and not value.isalnum():
            yield Span(match.start(1), match.start(1) + len(value), "password")
    for match in _ORACLE.finditer(data) if _ORACLE in met and any(tool in lowered for tool in _ORACLE_TOOLS) else ():
        if is_password(match.group(1).decode("ascii"), quoted=True):
            yield Span(match.start(1), match.end(1), "password")
    for match in _PIPED.finditer(data) if _PIPED in met else ():
        if is_password(match.group(1).decode("ascii"), quoted=True):
            yield Span(match.start(1), match.end(1), "password")
    for match in _EXPECT.finditer(data) if _EXPECT in met else ():
        if is_hard(match.group(1).decode("ascii")):
            yield Span(match.start(1), match.end(1), "password")
