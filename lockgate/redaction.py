"""Credentials, made unreadable before anything is remembered. Names and values in, the same names out; no I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

_SECRET_NAME = re.compile(r"auth|cookie|credential|key|passw|secret|signature|token", re.IGNORECASE)
_HARMLESS_NAME = re.compile(r"^:?authority$|ratelimit|^www-authenticate$|^proxy-authenticate$", re.IGNORECASE)
"""Holds a word that credentials hold, and none: what is left of a limit, where a request goes, what a server asks."""
_SCHEMES = frozenset({"apikey", "aws4-hmac-sha256", "basic", "bearer", "digest", "dpop", "negotiate", "token"})
_FINGERPRINT_DIGITS = 8
"""Enough to tell one person's keys apart; 32 bits say nothing about a random key."""


def redact_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers in order; a credential is its scheme and a fingerprint: `Bearer sha256:1a2b3c4d…`."""
    return [(name, _redacted(value) if is_secret(name) else value) for name, value in headers]


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


def _redacted(value: str) -> str:
    scheme, space, rest = value.strip().partition(" ")
    if space and scheme.lower() in _SCHEMES:
        return f"{scheme} {fingerprint(rest.strip())}"
    return fingerprint(value) if value else ""
