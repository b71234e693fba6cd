"""What there is to say about a policy, read from its class and its options' schema. For the console, docs and CLI."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from lockgate.policies.base import Policy

_WORDS = {"string": "text", "boolean": "true or false", "integer": "whole number", "object": "mapping"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key under `with:`; `name` is a path, with [] for the items of a list."""

    name: str
    type: str
    default: str
    """As one would write it in YAML; "" where the option has to be given."""
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A policy in words."""

    name: str
    summary: str
    details: str
    options: tuple[Option, ...]
    example: str
    """What could stand under `with:`, as YAML; "" where the class gives none."""


def describe(name: str, policy: type[Policy]) -> Description:
    """Reads the class's docstring: a summary, details, and after a line `Example:` what could stand under `with:`."""
    text, _, example = (inspect.getdoc(policy) or "").partition("Example:\n")
    summary, _, details = text.partition("\n\n")
    return Description(
        name=name,
        summary=" ".join(summary.split()),
        details=details.strip(),
        options=tuple(options_of(policy.Options.model_json_schema(mode="validation"))),
        example=inspect.cleandoc(f"\n{example}"),
    )


def options_of(schema: Mapping[str, Any]) -> Iterator[Option]:
    """Every option of a pydantic schema, those of nested sections after the option that holds them."""
    defs = schema.get("$defs", {})
    top = _resolved(schema, defs)
    yield from _options(top, defs, "", (top,))


def _options(
    schema: Mapping[str, Any], defs: Mapping[str, Any], prefix: str, above: tuple[Any, ...] = ()
) -> Iterator[Option]:
    required = schema.get("required", ())
    for name, given in cast(Mapping[str, Mapping[str, Any]], schema.get("properties", {})).items():
        yield Option(
            name=prefix + name,
            type=_type(given, defs),
            default="" if name in required else _written(given.get("default", _empty(given))),
            description=" ".join(str(given.get("description", "")).split()),
        )
        items: Mapping[str, Any] = given.get("items", {})
        inner, ending = (items, "[].") if "$ref" in items else (given, ".")
        if "properties" in (section := _resolved(inner, defs)) and section is not given and section not in above:
            yield from _options(section, defs, prefix + name + ending, (*above, section))


def _resolved(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    return defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _type(given: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    schema = _resolved(given, defs)
    if "anyOf" in schema:
        kinds = [_type(one, defs) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), defs)}"
    kind = str(schema.get("type", "any"))
    return _WORDS.get(kind, kind) + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    low = next((f"{word} {schema[key]}" for key, word in _LOW if key in schema), "")
    high = next((f"{word} {schema[key]}" for key, word in _HIGH if key in schema), "")
    return f" {' '.join(part for part in (low, high) if part)}" if low or high else ""


_LOW = (("minimum", "from"), ("exclusiveMinimum", "above"))
_HIGH = (("maximum", "to"), ("exclusiveMaximum", "below"))


_EMPTY: Mapping[str, Any] = {"array": [], "object": {}}


def _empty(given: Mapping[str, Any]) -> Any:
    """The default that a factory makes: pydantic's schema leaves it out, and ours are all empty."""
    return _EMPTY.get(str(given.get("type")))


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "none"
