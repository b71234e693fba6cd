"""What is wrong with values that somebody wrote: a sentence for each, which names the key and what it takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAliasType, get_args

from pydantic import BaseModel, ValidationError

from lockgate.errors import ConfigError

_MAPPING = "it takes keys with values, such as {{key: value}}"
_WANTED: Mapping[str, str] = {
    "list_type": "it takes a list, such as [one, two]",
    "tuple_type": "it takes a list, such as [one, two]",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "string_type": "it takes text; quote what would be read as something else",
    "int_type": "it takes a whole number",
    "int_parsing": "it takes a whole number",
    "int_from_float": "it takes a whole number",
    "float_type": "it takes a number",
    "float_parsing": "it takes a number",
    "finite_number": "it takes a number that is not infinite",
    "bool_type": "it takes true or false",
    "bool_parsing": "it takes true or false",
    "path_type": "it takes a path",
    "greater_than": "it has to be above {gt}",
    "greater_than_equal": "it has to be at least {ge}",
    "less_than": "it has to be below {lt}",
    "less_than_equal": "it has to be at most {le}",
    "too_short": "it needs {min_length} or more; there are {actual_length}",
    "too_long": "it takes {max_length} at most",
    "string_too_short": "it needs {min_length} or more characters",
    "string_too_long": "it takes {max_length} characters at most",
    "literal_error": "it takes {expected}",
}
"""What a value has to be, by pydantic's word for what it is not."""


def validate[Model: BaseModel](model: type[Model], values: Any, subject: str) -> Model:
    """The values as `model`. Raises ConfigError whose sentences begin with `subject` and name each wrong key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(*dict.fromkeys(_sentences(error, model, subject))) from error


def meaning(word: str, known: Sequence[str]) -> str:
    """The question whether the one that comes close was meant; "" where none does."""
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _sentences(error: ValidationError, model: type[BaseModel], subject: str) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in detail["loc"] if not str(part).startswith(("literal[", "list[")))
        if detail["type"] == "extra_forbidden":
            known = _keys_at(model, detail["loc"][:-1])
            meant = meaning(str(detail["loc"][-1]), known)
            yield f"{subject}: unknown option '{where}'{meant}; it takes: {', '.join(known) or 'no options'}"
        elif detail["type"] == "missing":
            yield f"{subject}: the option '{where}' is missing"
        else:
            wanted = _WANTED.get(detail["type"], "").format_map(detail.get("ctx", {}))
            told = wanted or detail["msg"].removeprefix("Value error, ")
            yield f"{subject}: {f"option '{where}': " if where else ''}{told}"


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at `loc` takes."""
    for part in loc:
        field = model.model_fields.get(str(part))
        inner = field and next(_models_in(field.annotation), None)
        if inner is not None:
            model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, TypeAliasType):
        yield from _models_in(annotation.__value__)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
