"""What the client declares of a tool, and whether arguments follow it. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockgate.errors import Error
from lockgate.events import Request
from lockgate.policies.definitions import definitions_in
from lockgate.policies.schemas import Unusable, ready


class NotAsDeclared(Error):
    """Arguments that the tool's schema does not allow, or a schema that nothing can be held against."""


def declared_schema(request: Request, name: str) -> Mapping[str, Any] | None:
    """The schema of the arguments of a client's tool; None where the request declares none."""
    return next((tool.schema for tool in definitions_in(request) if tool.name == name), None)


def check_arguments(schema: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> None:
    """Raise NotAsDeclared where the schema does not allow the arguments; without one, everything is allowed."""
    if schema is None:
        return
    try:
        fault = ready(schema).fault(dict(arguments))
    except Unusable as error:
        raise NotAsDeclared(str(error)) from error
    if fault:
        raise NotAsDeclared(f"they are not what the tool's schema allows: {fault}")
