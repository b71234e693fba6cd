"""Credentials, and what rules conceal, made unreadable before anything is remembered. Values in and out; no I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.wire.document import dumps, loads

_SECRET_NAME = re.compile(r"auth|cookie|credential|key|passw|secret|signature|token", re.IGNORECASE)
_HARMLESS_NAME = re.compile(r"^:?authority$|ratelimit|^www-authenticate$|^proxy-authenticate$", re.IGNORECASE)
"""Holds a word that credentials hold, and none: what is left of a limit, where a request goes, what a server asks."""
_SCHEMES = frozenset({"apikey", "aws4-hmac-sha256", "basic", "bearer", "digest", "dpop", "negotiate", "token"})
_TOKEN = re.compile(r"lg_[0-9A-Za-z]{8,}")
_FINGERPRINT_DIGITS = 8
"""Enough to tell one person's keys apart; 32 bits say nothing about a random key."""


def redact_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers in order; a credential is its scheme and a fingerprint: `Bearer sha256:1a2b3c4d…`."""
    return [(name, _redacted(value) if is_secret(name) else without_tokens(value)) for name, value in headers]


def redact_query(query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters of a query string in order, credentials as in `redact_headers`."""
    return redact_headers(query)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a header or parameter of this name carries a credential, judged by the words in its name."""
    return _SECRET_NAME.search(name) is not None and _HARMLESS_NAME.search(name) is None


def fingerprint(secret: str) -> str:
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest[:_FINGERPRINT_DIGITS]}…"


def without_tokens(value: str) -> str:
    """A token of Lockgate's own is unreadable wherever a client puts it."""
    return _TOKEN.sub(lambda found: fingerprint(found[0]), value) if "lg_" in value else value


def _redacted(value: str) -> str:
    scheme, space, rest = value.strip().partition(" ")
    if space and scheme.lower() in _SCHEMES:
        return f"{scheme} {fingerprint(rest.strip())}"
    return fingerprint(value) if value else ""


def credentials_in(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The keys and tokens that a request is sent with, without their schemes."""
    values = (value.strip() for name, value in headers if is_secret(name) and name.lower() not in _MANY)
    return tuple(dict.fromkeys(_bare(value) for value in values))


_MANY = frozenset({"cookie"})
"""Many values in one, most of them no credentials."""


def _bare(value: str) -> str:
    scheme, space, rest = value.partition(" ")
    return rest.strip() if space and scheme.lower() in _SCHEMES else value


def concealed(content: bytes, instead: Mapping[str, str]) -> bytes:
    """JSON text, or any other, in which other texts stand instead of those that nobody may read."""
    if not instead:
        return content
    pairs = pairs_of(instead)
    try:
        document = loads(content)
    except WireError:
        return replaced(content.decode("utf-8", "surrogateescape"), pairs).encode("utf-8", "surrogateescape")
    changed = _changed(document, pairs)
    return content if changed is document else dumps(changed)


def hidden(text: str, instead: Mapping[str, str]) -> str:
    """A text that people are shown, in which other texts stand instead of those that nobody may read."""
    return replaced(text, pairs_of(instead)) if instead else text


def pairs_of(instead: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """The longest first: a short one may be the beginning of a long one."""
    pairs = [(form, to) for text, to in instead.items() for form in _forms(text)]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def _forms(text: str) -> Iterable[str]:
    """The text, and how it stands in JSON text that is itself a string."""
    return dict.fromkeys((text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]))


def replaced(text: str, pairs: Iterable[tuple[str, str]]) -> str:
    for form, to in pairs:
        if form in text:
            text = text.replace(form, to)
    return text


def _changed(value: Any, pairs: Iterable[tuple[str, str]]) -> Any:
    """The value itself where nothing in it changes."""
    if isinstance(value, str):
        text = replaced(value, pairs)
        return value if text == value else text
    if isinstance(value, dict):
        given = cast(dict[str, Any], value)
        out = {replaced(key, pairs): _changed(part, pairs) for key, part in given.items()}
        same = len(out) == len(given) and all(a is b for a, b in zip(out.values(), given.values(), strict=True))
        return given if same and list(out) == list(given) else out
    if isinstance(value, list):
        parts = cast(list[Any], value)
        changed = [_changed(part, pairs) for part in parts]
        return parts if all(a is b for a, b in zip(changed, parts, strict=True)) else changed
    return value
