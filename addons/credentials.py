"""Where a request carries a token, or a provider's key: read from its headers and query, and put in their place."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote

from mitmproxy import http

from lockgate.access.token import PREFIX, RANDOM_CHARACTERS, claims_token

MARK = PREFIX.encode()
BEARER = "authorization"
NAMED = ("x-api-key", "x-goog-api-key", "api-key")
"""Headers that hold a key and nothing else."""
PARAMETERS = ("key",)
"""Of the query: Google's."""
_IN_A_WORD = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS}}}", re.ASCII)
_KEPT_IN = frozenset(name.encode() for name in (BEARER, *NAMED))
LOGIN = "sk-ant-oat"
"""How Anthropic's keys begin that are a person's login: they go as a bearer's."""


def proxy_token(headers: http.Headers) -> str:
    """The token in the proxy's credentials, as the user, the password or a bearer's; "" where there is none."""
    scheme, _, rest = headers.get("proxy-authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() if claims_token(rest.strip()) else ""
    user, _, password = (_basic(rest) if scheme.lower() == "basic" else "").partition(":")
    return next((text for text in (user, password) if claims_token(text)), "")


def key_tokens(request: http.Request) -> set[str]:
    """The tokens that stand where a provider's key would."""
    return {value for value in _values(request) if claims_token(value)}


def has_token(request: http.Request) -> bool:
    """Whether any header or parameter still holds one, wherever it stands."""
    values: list[str] = []
    for name, raw in request.headers.fields:
        if MARK in raw:
            values.append(raw.decode("utf-8", "surrogateescape"))
        elif raw[:6].lower() == b"basic " and name.lower() == BEARER.encode():
            values += _basic(raw[6:].strip().decode("latin-1")).split(":")
    if PREFIX in (path := unquote(request.path)):
        values += [path, *request.query.values()]
    return any(_holds_token(value) for value in values)


def put_key(request: http.Request, format: str, key: str) -> None:
    """Put a provider's key in the place of the token, in the header that this format has for it."""
    headers = request.headers
    headers.fields = tuple(field for field in headers.fields if field[0].lower() not in _KEPT_IN)
    for name in PARAMETERS if PREFIX in unquote(request.path) else ():
        if claims_token(request.query.get(name, "")):
            del request.query[name]
    if format == "google":
        headers.add("x-goog-api-key", key)
    elif format == "anthropic" and not key.startswith(LOGIN):
        headers.add("x-api-key", key)
    else:
        headers.add("authorization", f"Bearer {key}")


def _holds_token(value: str) -> bool:
    """Whether a word of it means to be a token, or anything in it, such as a WebSocket's protocol, ends with one."""
    words = value.replace(",", " ").replace(";", " ").split()
    return any(map(claims_token, words)) or _IN_A_WORD.search(value) is not None


def _basic(rest: str) -> str:
    """The user and password; "" for what is none."""
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def _values(request: http.Request) -> Iterator[str]:
    for name, raw in request.headers.fields:
        if MARK in raw and (kept_in := name.lower()) in _KEPT_IN:
            value = raw.decode("utf-8", "surrogateescape").strip()
            rest = value.partition(" ")[2] if kept_in == BEARER.encode() else ""
            yield rest.strip() or value
    if PREFIX in unquote(request.path):
        for name in PARAMETERS:
            yield request.query.get(name, "")
