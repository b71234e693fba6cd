"""What the client declares of a tool, and whether arguments follow it. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import jsonschema_rs

from lockgate.errors import Error
from lockgate.events import Request

_SCHEMAS = ("input_schema", "parameters")
"""Where Anthropic's and OpenAI's formats keep the schema of a tool's arguments."""


class NotAsDeclared(Error):
    """Arguments that the tool's schema does not allow, or a schema that nothing can be held against."""


def declared_schema(request: Request, name: str) -> Mapping[str, Any] | None:
    """The schema of the arguments of a client's tool; None where the request declares none."""
    given: Any = request.document.get("input")
    items = cast(list[Any], given) if isinstance(given, list) else []
    places = (request.document, *(cast(dict[str, Any], item) for item in items if isinstance(item, dict)))
    for place in places:
        for tool in _tools(place.get("tools")):
            if tool.get("name") == name:
                return next((tool[key] for key in _SCHEMAS if isinstance(tool.get(key), dict)), None)
    return None


def _tools(given: Any) -> Iterator[dict[str, Any]]:
    """The tools in a list, also where they stand in a namespace or under `function`."""
    for one in cast(list[Any], given) if isinstance(given, list) else []:
        if isinstance(one, dict):
            tool = cast(dict[str, Any], one)
            yield tool
            yield from _tools([tool.get("function")])
            yield from _tools(tool.get("tools"))


def check_arguments(schema: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> None:
    """Raise NotAsDeclared where the schema does not allow the arguments; without one, everything is allowed."""
    if schema is None:
        return
    try:
        validator = jsonschema_rs.validator_for(
            dict(schema), retriever=_fetch_nothing, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise NotAsDeclared("the schema that the client declares cannot be held against anything") from error
    try:
        validator.validate(dict(arguments))
    except jsonschema_rs.ValidationError as error:
        where = ".".join(map(str, error.instance_path)) or "the arguments"
        raise NotAsDeclared(f"{where}: not what the tool's schema allows ({error.kind.name})") from error


def _fetch_nothing(uri: str) -> Any:
    raise ValueError("a schema that stands elsewhere is not fetched")
