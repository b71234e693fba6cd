"""Secrets that people and programs say: what to log in or answer with, accounts, answers to a question, what a command
prints.

Each value is looked for from a cue on, and no further than the context that a streamed text keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lockgate.policies.patterns import compile_bytes
from lockgate.policies.secret_values import is_chosen, is_hard, is_password, is_token
from lockgate.policies.spans import Span

CONTEXT_CHARS = 400
"""A value stands no further from the beginning of its cue."""
_NAME = r"(?:passw(?:or)?d|passwort|passphrase|pass|pwd|pw|pin|logins?|creds?|credentials|root|secret|token|key)"
_CUE = compile_bytes(
    r"(?i)\b(?:(log(?:ged|ging|s)?[ -]?(?:in|on|into)|sign(?:ed|ing|s)?[ -]?in|connect(?:ed|ing)?|"
    r"authenticat(?:e|ed|es|ing)|(?:un|de)(?:lock|crypt)(?:s|ed)?|protected|encrypted)"
    r"(?: [a-z0-9.',@-]+){0,8} (?:with|using|via|mit|by|as)(?: the)? |"
    r"(enter|types?|wants|try|answer|give it|cracked to|hard-?coded|change[ds]? to|changed it to) |"
    r"(creds?|credentials|accounts?|user/pass(?:word)?|u:|user:|basic auth|admin:|logins?:|hashcat|cracked:?)|"
    rf"((?:re-?send|send|share|what(?:'?s| is)|which|need)\b[^\n]{{0,60}}\b{_NAME}\b|{_NAME}\b[^\n?]{{0,40}}\?)|"
    r"(echo \$\{?\w*(?:key|token|secret|passw\w*|pwd|pass)\b|printenv \w*(?:key|token|secret|passw\w*)\b|"
    r"pass show|op item|op read|bw get|doppler secrets|output -raw|config get|config:get|find-generic-password|"
    r"get secrets?|get-secret-value|get-parameter|get-login-password|versions access|print-(?:access|identity)-token|"
    r"keyvault secret|get-access-token|openssl rand|pwgen|auth token|secret-tool lookup|wg genkey|wg genpsk|"
    r"base64 (?:-d|--decode)|kv get|vault read))"
)
_VALUE = r"[\"'`*(]{0,3}([^\s\"'`<>()]{6,128})"
_WITH = compile_bytes(rf"^(?:[\w.-]{{2,32}}[:/])?{_VALUE}")
_NEXT = compile_bytes(rf"^{_VALUE}")
_ACCOUNT = compile_bytes(
    rf"(?i)^[^\n]{{0,40}}?[ =(>][\w.@-]{{2,40}}(?:[:/]|,? (?:and|with|pw|p:)? ?){_VALUE}|"
    rf"^[^\n]{{0,40}}?\b[0-9a-f]{{32,64}} ?(?::|->) ?{_VALUE}"
)
_SPEAKER = r"(?:[\[(][^\]\n]{1,24}[\])] ?|\d\d?:\d\d ?)?(?:<[\w. -]{1,24}> ?|[\w. -]{1,24}[:>] ?)?"
_REPLY = compile_bytes(
    rf"(?i)^[^\n]{{0,80}}\n(?:[^\n]{{0,60}}\n){{0,2}}?{_SPEAKER}(?:it(?:'?s| is| was) |\w{{2,20}} ?/ ?)?{_VALUE}|"
    rf"^\?? (?:a: ?|it(?:'?s| is| was) |-+ ?)?{_VALUE}"
)
_OUTPUT = compile_bytes(r"^[^\n]{0,200}\n[\"']?([^\s\"'`<>:]{6,200})(?:[\"'\s]|$)")
_ABOUT = compile_bytes(
    r"(?i)\b(?:limit|type|ids?|name|format|length|polic\w+|expir\w+|window|budget|count|size|rotation|rules?|header|"
    r"file)\b"
)
"""A question that is not for the secret itself."""
_SIGNS = frozenset("!#$%&*^~?+=")


SAID = (_CUE,)
"""What a first look asks for."""


def secrets_said(data: bytes) -> Iterator[Span]:
    """The secrets in a text of single-byte characters."""
    for cue in _CUE.finditer(data):
        part = data[cue.end() : cue.start() + CONTEXT_CHARS]
        if cue.group(4) and _ABOUT.search(cue.group(4) + part.partition(b"\n")[0]):
            continue
        pattern, is_secret = _FINDERS[next(number for number in range(5) if cue.group(number + 1))]
        if match := pattern.match(part):
            yield from _span(match, cue.end(), is_secret)


def _span(match: Any, at: int, is_secret: Callable[[str], bool]) -> Iterator[Span]:
    group = next(number for number in range(1, match.re.groups + 1) if match.group(number))
    value = match.group(group).decode("ascii").rstrip(".,;:")
    if is_secret(value):
        yield Span(at + match.start(group), at + match.start(group) + len(value), "password")


def _is_chosen(value: str) -> bool:
    """Whether even without a name beside it, it can only be a password or a key."""
    return _is_given(value) and (not _SIGNS.isdisjoint(value) or is_token(value))


def _is_given(value: str) -> bool:
    """Whether it holds capitals, small letters and digits, and is no path."""
    return (
        (is_hard(value) or is_chosen(value))
        and "/" not in value
        and any(map(str.isupper, value))
        and any(map(str.islower, value))
    )


def _is_answer(value: str) -> bool:
    return _is_given(value) or (len(value) >= 20 and is_token(value) and not value.islower())


def _is_printed(value: str) -> bool:
    return is_token(value) or is_hard(value) or (is_password(value, quoted=True) and any(map(str.isdigit, value)))


_FINDERS = (
    (_WITH, _is_chosen), (_NEXT, _is_chosen), (_ACCOUNT, _is_given), (_REPLY, _is_answer), (_OUTPUT, _is_printed),
)  # fmt: skip
"""What is looked for after each cue, and what has to hold of it."""
