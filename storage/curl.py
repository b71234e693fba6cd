"""The request of an exchange as a command for a shell. No credential stands in it: `$API_KEY` does. Values only."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import urlencode

from lockgate.errors import Error
from lockgate.records import Comm
from lockgate.storage.answers import ExchangeDetail
from lockgate.storage.har import listed
from lockgate.storage.shapes import document

_LEFT_OUT = re.compile(
    r"(?i)host|content-length|content-encoding|accept-encoding|connection|transfer-encoding|te|upgrade|keep-alive|"
    r"proxy-.*|cookie|forwarded|x-forwarded-.*|(?:.*[-_])?(?:auth\w*|keys?|apikey|tokens?|secrets?|session|password)"
)
"""What curl writes itself, what belongs to one connection, and whatever could be a credential."""
_PLAIN = re.compile(r"[ -~]*")
_NOT_PLAIN = re.compile(r"[^ -~]")


def curl(detail: ExchangeDetail) -> str:
    """The request as the client sent it. Raises Error where it is not there whole."""
    row, chain = detail.exchange, detail.chain("REQUEST")
    method, _, path = row.endpoint.rpartition(" ")
    if not chain or ((how := detail.joined.get(chain[0].id)) and how.damage):
        raise Error("the request of this exchange was not recorded, or was changed in the log")
    words = ["curl", "-X", shlex.quote(method or "POST"), shlex.quote(_ascii(_url(row.host, path, chain[0])))]
    lines = [" ".join(words), *(f"  -H {header}" for header in _headers(row.provider, chain[0]))]
    if chain[0].content:
        lines.append(f"  --data-raw {shlex.quote(_ascii(document(chain[0].content)))}")
    return " \\\n".join(lines) + "\n"


def _url(host: str, path: str, comm: Comm) -> str:
    query = [(name, value) for name, values in comm.arguments.items() for value in listed(values)
             if not _LEFT_OUT.fullmatch(name)]  # fmt: skip
    return f"https://{host}{path}" + (f"?{urlencode(query, errors='replace')}" if query else "")


def _headers(provider: str, comm: Comm) -> list[str]:
    """In double quotes only what is ours, so that the shell looks for nothing in what a client sent."""
    key = '"x-api-key: $API_KEY"' if provider == "anthropic" else '"authorization: Bearer $API_KEY"'
    sent = [f"{name}: {value}" for name, value in comm.headers if not _LEFT_OUT.fullmatch(name)]
    types = [] if any(one.lower().startswith("content-type:") for one in sent) else ["content-type: application/json"]
    return [key, *(shlex.quote(one) for one in (*sent, *types) if _PLAIN.fullmatch(one))]


def _ascii(value: Any) -> str:
    """Nothing in it steers a terminal, or turns its lines round."""
    text = json.dumps(value) if not isinstance(value, str) else value
    return _NOT_PLAIN.sub("?", text)
