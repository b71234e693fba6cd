"""`system_note`: adds a standing instruction of the operator to what the model is told."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Request
from lockgate.exchange import Exchange
from lockgate.policies.base import Policy


class Options(Section):
    """What to add, and where."""

    note: str = Field(min_length=1, max_length=50_000)
    """The text that is added to the system prompt."""
    place: Literal["end", "start"] = "end"
    """Behind the client's own system prompt, or before it. At the end, a provider's cache of the prompt still hits."""


class SystemNote(Policy):
    """Adds a text to the system prompt of every request, once, in the way of its format.

    Example:
        note: Never push to the main branch; open a pull request instead.
    """

    Options = Options

    async def on_request(self, request: Request, x: Exchange) -> Request:
        options: Options = self.options
        document = dict(request.document)
        match x.format:
            case "anthropic":
                document["system"] = _joined(document.get("system"), options, "text")
            case "openai-responses":
                document["instructions"] = _joined(document.get("instructions"), options, "input_text")
            case _:
                if not isinstance(document.get("messages"), list):
                    return request
                document["messages"] = _messages(cast(list[Any], document["messages"]), options)
        return request if document == request.document else request.with_document(document)


def _joined(given: Any, options: Options, kind: str) -> Any:
    """The system prompt with the note: a text, or a list of parts where it was one."""
    if isinstance(given, list):
        parts = cast(list[Any], given)
        part = {"type": kind, "text": options.note}
        if part in parts:
            return parts
        return [*parts, part] if options.place == "end" else [part, *parts]
    if not given:
        return options.note
    text = str(given)
    if options.note in text:
        return given
    return f"{text}\n\n{options.note}" if options.place == "end" else f"{options.note}\n\n{text}"


def _messages(messages: list[Any], options: Options) -> list[Any]:
    """A message of its own beside those of the system, which stand first."""
    leading: list[dict[str, Any]] = []
    for message in messages:
        if not isinstance(message, dict) or cast(dict[str, Any], message).get("role") not in ("system", "developer"):
            break
        leading.append(cast(dict[str, Any], message))
    if any(message.get("content") == options.note for message in leading):
        return messages
    role = str(leading[0]["role"]) if leading else "system"
    place = len(leading) if options.place == "end" else 0
    return [*messages[:place], {"role": role, "content": options.note}, *messages[place:]]
