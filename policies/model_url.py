"""The URL of a model that a rule asks: a whole one, of an endpoint that speaks the format that is named beside it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from lockgate.wire.endpoints import endpoint_for

SPOKEN = {"anthropic": ("anthropic",), "openai": ("openai-chat",)}
"""In which words questions of Lockgate's own are put, by the family of formats."""


def check_url(url: str, format: Literal["anthropic", "openai"], spoken: tuple[str, ...] = ()) -> None:
    """Raises ValueError for what no question could be sent to, or would be in other words than it takes."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise ValueError("the url is a whole one: https://HOST[:PORT]/PATH")
    if not parts.path.strip("/"):
        raise ValueError(f"the url names no endpoint: give its path too, such as {url.rstrip('/')}{_PATHS[format]}")
    endpoint = endpoint_for("POST", parts.path)
    if endpoint and endpoint.format.name not in (known := spoken or SPOKEN[format]):
        raise ValueError(
            f"the endpoint {parts.path} speaks {endpoint.format.name}, and with 'format: {format}' it is asked in "
            f"{' or '.join(known)}: give another 'format' or path"
        )


_PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
