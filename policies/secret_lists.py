"""Secrets in lists and in members whose name stands in another: lists of keys, codes, named values, templates.

Each value is looked for from an anchor on, and no further than the context that a streamed text keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from lockgate.policies.patterns import compile_bytes
from lockgate.policies.secret_values import is_hard, is_password, is_token
from lockgate.policies.spans import Span

CONTEXT_CHARS = 480
"""A value stands no further from the beginning of its list."""
_LIST = compile_bytes(
    r"(?i)(?:api[_-]?keys?|(passwords?|passwds|passphrases)|secrets?|(?:access|auth|api|bearer|bot|"
    r"service)[_-]?tokens?|tokens|"
    r"credentials)\\?[\"']?[ \t]{0,2}[:=][ \t]{0,2}(?:\[\s{0,12}|\r?\n[ \t]{0,12}-[ \t]{1,3})"
)
_ITEM = compile_bytes(
    r"\\?[\"']?([^\s\"',\]\[\\:{}]{6,200})\\?[\"']?(?:\s{0,4},\s{0,12}|\r?\n[ \t]{0,12}-[ \t]{1,3}|[\]\s]|$)"
)
_CODES = compile_bytes(r"(?i)\b(?:recovery|backup|scratch|2fa|emergency) codes?\b[^\n\w]{0,4}\s{0,4}")
_CODE = compile_bytes(r"(?:\d{1,2}[.)] )?\b([A-Za-z0-9]{4,6}-[A-Za-z0-9]{4,6}|[0-9a-z]{8,10})\b[ ,;\t\r\n]{0,4}")
_NAMED = compile_bytes(
    r"(?i)\\?\"(?:name|key|id|keyname|parameterkey|variable|label)\\?\"\s{0,4}:\s{0,4}\\?\"[^\"\n]{0,80}(?:passw|"
    r"secret|token|"
    r"api[_-]?key|private|/key|key\d)[^\"\n]{0,40}\\?\"(?:\s{0,4},\s{0,16}\\?\"[^\"\n]{1,30}\\?\"\s{0,4}:\s{0,4}"
    r"(?:\\?\"[^\"\n]{0,60}\\?\"|[\w.]{1,20})){0,4}\s{0,4},\s{0,16}\\?\"(?:secret_?|parameter)?(?:value|"
    r"string)\\?\"\s{0,4}:\s{0,4}\\?\"([^\"\s\\]{6,400})|"
    r"noecho[\"']?:[ \t]?[\"']?true[\"']?,?\s{1,24}[\"']?default[\"']?:[ \t]?[\"']?([^\s\"',]{6,128})|"
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}[\"']?(?:[ \t]{0,2}[,;:/|][ \t]{0,2}|[ \t]{1,4}(?:and[ \t])?|"
    r"[ \t]{0,2}\r?\n[ \t]{0,4})[\"']?([A-Za-z0-9/+]{40})\b|"
    r"\baccounts\\?[\"']?[ \t]?:[ \t]?\[\s{0,12}[\"'](0x[0-9a-f]{64})[\"']|"
    r"\"random_password\"[^\n]{0,200}?\"result\"\s{0,4}:\s{0,4}\"([^\"\s]{6,128})|"
    r"define\(\s{0,4}'\w{0,24}(?:_key|_salt)',\s{0,12}'([^'\s]{32,100})'"
)


_SALT = 6
"""The group of that pattern whose value is made of any signs."""
LISTS = (_LIST, _CODES, _NAMED)
"""What a first look asks for."""


def secrets_listed(data: bytes, met: Set[Any]) -> Iterator[Span]:
    """The secrets in a text of single-byte characters."""
    for head in _LIST.finditer(data) if _LIST in met else ():
        for item in _items(_ITEM, data, head):
            value = item.group(1).decode("ascii")
            if is_token(value) or (head.group(1) and is_password(value, quoted=True)):
                yield Span(item.start(1), item.end(1), "password" if head.group(1) else "api-key")
    for head in _CODES.finditer(data) if _CODES in met else ():
        for item in _items(_CODE, data, head):
            if any(map(str.isdigit, item.group(1).decode("ascii"))):
                yield Span(item.start(1), item.end(1), "recovery-code")
    for match in _NAMED.finditer(data) if _NAMED in met else ():
        group = next(number for number in range(1, 7) if match.group(number))
        value = match.group(group).decode("ascii")
        if group == _SALT or is_hard(value) or is_token(value) or is_password(value, quoted=True):
            yield Span(match.start(group), match.end(group), "secret")


def _items(pattern: Any, data: bytes, head: Any) -> Iterator[Any]:
    """What stands one after the other from the head of a list on."""
    at = head.end()
    while at - head.start() < CONTEXT_CHARS and (item := pattern.match(data, at)):
        yield item
        at = item.end()
