"""How a question is put into each provider's words, and how its answer is read. Nothing here does I/O."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from lockgate.errors import Error, WireError
from lockgate.events import Usage
from lockgate.ports import Ask
from lockgate.wire.document import loads_object


class NoAnswer(Error):
    """The model server gave nothing that answers."""


def request_document(ask: Ask) -> dict[str, Any]:
    """The body of the request."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": ask.prompt}]
    if ask.format == "anthropic":
        return {"model": ask.model, "max_tokens": ask.max_tokens, "system": ask.system, "messages": messages}
    # api.openai.com refuses max_tokens for newer models; compatible servers know nothing else.
    limit = "max_completion_tokens" if urlsplit(ask.url).hostname == "api.openai.com" else "max_tokens"
    system = {"role": "system", "content": ask.system}
    document: dict[str, Any] = {"model": ask.model, limit: ask.max_tokens, "messages": [system, *messages]}
    if ask.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(ask.schema)}
        document["response_format"] = {"type": "json_schema", "json_schema": schema}
    return document


def request_headers(ask: Ask) -> dict[str, str]:
    """The headers of the request; they hold the key and are never logged."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    if ask.format == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if ask.key:
        headers |= {"x-api-key": ask.key} if ask.format == "anthropic" else {"authorization": f"Bearer {ask.key}"}
    return headers


def answer_text(ask: Ask, body: bytes) -> str:
    """The answer's text. Raises NoAnswer for a refusal, and for what is no answer."""
    try:
        document = loads_object(body)
    except WireError as error:
        raise NoAnswer(f"its answer cannot be read: {error}") from error
    try:
        return _anthropic_text(document) if ask.format == "anthropic" else _openai_text(document)
    except (KeyError, IndexError, TypeError) as error:
        raise NoAnswer("its answer has not the form that its format asks for") from error


def _anthropic_text(document: dict[str, Any]) -> str:
    if document.get("stop_reason") == "refusal":
        raise NoAnswer("it refused to answer")
    return "".join(block["text"] for block in document["content"] if block["type"] == "text")


def _openai_text(document: dict[str, Any]) -> str:
    message = document["choices"][0]["message"]
    if message.get("refusal") or not isinstance(message["content"], str):
        raise NoAnswer("it refused to answer")
    return message["content"]


def usage_of(ask: Ask, body: bytes) -> Usage | None:
    """The tokens that the answer cost, where it says so."""
    try:
        given: Any = loads_object(body).get("usage")
    except WireError:
        return None
    if not isinstance(given, dict):
        return None
    usage = cast(dict[str, Any], given)
    if ask.format == "anthropic":
        names = "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"
        return Usage(**dict(zip(_FIELDS, (_count(usage.get(name)) for name in names), strict=True)))
    details: Any = usage.get("prompt_tokens_details")
    cached = _count(cast(dict[str, Any], details).get("cached_tokens")) if isinstance(details, dict) else 0
    return Usage(
        input_tokens=max(0, _count(usage.get("prompt_tokens")) - cached),
        output_tokens=_count(usage.get("completion_tokens")),
        cache_read_tokens=cached,
    )


_FIELDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
