"""Which exchanges and tool calls a rule looks at: `match:` compiled to a predicate."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast, get_args

from lockgate.errors import ConfigError
from lockgate.exchange import Exchange
from lockgate.records import Attested, Purpose
from lockgate.wire.endpoints import ENDPOINTS

type Test = Callable[[Exchange, str], bool]
"""Given the exchange and the name of the tool that is called ("" for anything but a call)."""

FIELDS: Mapping[str, Callable[[Exchange, str], Any]] = {
    "provider": lambda x, _: x.provider,
    "format": lambda x, _: x.format,
    "host": lambda x, _: x.host,
    "endpoint": lambda x, _: x.endpoint,
    "model": lambda x, _: x.request.model,
    "stream": lambda x, _: x.request.stream,
    "agent": lambda x, _: x.agent,
    "session": lambda x, _: x.session_id,
    "marker": lambda x, _: x.session.marker if x.session else "",
    "attested": lambda x, _: x.attested,
    "purpose": lambda x, _: x.purpose,
    "project": lambda x, _: x.project,
    "token": lambda x, _: x.token,
    "label": lambda x, _: x.labels,
    "client": lambda x, _: x.client,
    "tool": lambda _, tool: tool,
}

KNOWN: Mapping[str, tuple[str, ...]] = {
    "provider": ("anthropic", "openai", "google"),
    "format": tuple(dict.fromkeys(endpoint.format.name for endpoint in ENDPOINTS)),
    "attested": get_args(Attested.__value__),
    "purpose": get_args(Purpose.__value__),
}
"""All that these can be: a rule for anything else would never look at an exchange."""

COMPARATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
    "in": lambda value, known: value in known,
}


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a rule looks at an exchange. One that names a tool looks only at calls of it."""

    test: Test
    per_tool: bool

    def exchange(self, x: Exchange) -> bool:
        """Whether the rule can have anything to do with this exchange."""
        return self.per_tool or self.test(x, "")

    def call(self, x: Exchange, tool: str) -> bool:
        return not self.per_tool or self.test(x, tool)


def compile_match(conditions: Mapping[str, Any], subject: str) -> Match:
    """Raises ConfigError whose sentence begins with `subject`."""
    return Match(_all(conditions, subject), _names_tool(conditions))


def _all(conditions: Any, subject: str) -> Test:
    if not isinstance(conditions, Mapping):
        raise ConfigError(f"{subject}: a condition is a mapping such as {{provider: anthropic}}, not {conditions!r}")
    tests = [_one(str(key), value, subject) for key, value in cast(Mapping[Any, Any], conditions).items()]
    return lambda x, tool: all(test(x, tool) for test in tests)


def _one(key: str, value: Any, subject: str) -> Test:
    match key:
        case "all" | "any":
            inner = [_all(part, subject) for part in _listed(value, f"{subject}: '{key}'", "conditions")]
            combine = all if key == "all" else any
            return lambda x, tool: combine(test(x, tool) for test in inner)
        case "not":
            negated = _all(value, subject)
            return lambda x, tool: not negated(x, tool)
        case _:
            look, compare = _lookup(key, subject), _comparison(value, f"{subject}: '{key}'")
            if key in FIELDS and _compares_numbers(value):
                raise ConfigError(f"{subject}: '{key}' is no number; compare it with text")
            _check_known(key, value, subject)
            if key == "label":
                return lambda x, _: any(map(compare, x.labels))
            return lambda x, tool: compare(look(x, tool))


def _listed(value: Any, subject: str, of: str) -> list[Any]:
    if not (isinstance(value, list) and value):
        raise ConfigError(f"{subject} takes a list of {of}, with one or more")
    return cast(list[Any], value)


def _lookup(key: str, subject: str) -> Callable[[Exchange, str], Any]:
    if key in FIELDS:
        return FIELDS[key]
    if key.startswith("request."):
        path = key.split(".")[1:]
        return lambda x, _: _at(x.request.document, path)
    raise ConfigError(
        f"{subject}: unknown condition '{key}'; it takes: all, any, not, {', '.join(FIELDS)}, request.PATH"
    )


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(value, Mapping):
            value = cast(Mapping[str, Any], value).get(part)
        elif isinstance(value, list) and part.lstrip("-").isdecimal():
            items = cast(list[Any], value)
            value = items[int(part)] if -len(items) <= int(part) < len(items) else None
        else:
            return None
    return value


def _comparison(wanted: Any, subject: str) -> Callable[[Any], bool]:
    match wanted:
        case str():
            return lambda value: fnmatchcase(str(value), wanted)
        case list():
            tests = [_comparison(one, subject) for one in _listed(cast(Any, wanted), subject, "values")]
            return lambda value: any(test(value) for test in tests)
        case dict():
            return _comparators(cast(dict[str, Any], wanted), subject)
        case _:
            return lambda value: value == wanted


def _check_known(key: str, wanted: Any, subject: str) -> None:
    """Raises ConfigError for a value that the condition never has, such as a name with a slip of the pen."""
    values = cast(list[Any], wanted) if isinstance(wanted, list) else [wanted]
    for value in values:
        if isinstance(value, dict) or key not in FIELDS:
            continue
        if key == "stream":
            if not isinstance(value, bool):
                raise ConfigError(f"{subject}: 'stream' takes true or false, not {value!r}")
            continue
        if not isinstance(value, str):
            raise ConfigError(f"{subject}: '{key}' is text, which {value!r} is not: put it in quotes")
        if key in KNOWN and not any(fnmatchcase(known, value) for known in KNOWN[key]):
            known = ", ".join(filter(None, KNOWN[key]))
            raise ConfigError(f"{subject}: '{key}' is never {value!r}, so nothing would match; it takes: {known}")


def _comparators(wanted: dict[str, Any], subject: str) -> Callable[[Any], bool]:
    if (unknown := set(wanted) - set(COMPARATORS)) or not wanted:
        named = f"unknown comparator '{unknown.pop()}'" if unknown else "no comparator"
        raise ConfigError(f"{subject}: {named}; it takes: {', '.join(COMPARATORS)}")
    if "in" in wanted:
        _listed(wanted["in"], f"{subject}: 'in'", "values")
    _check_order(wanted, subject)

    def holds(value: Any) -> bool:
        try:
            return all(COMPARATORS[name](value, bound) for name, bound in wanted.items())
        except TypeError:
            return False  # a missing value is neither above nor below anything

    return holds


def _check_order(wanted: Mapping[str, Any], subject: str) -> None:
    """Raises ConfigError for bounds that no value is within."""
    bounds = {name: bound for name, bound in wanted.items() if name[0] in "<>"}
    for name, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float | str):
            raise ConfigError(f"{subject}: '{name}' takes a number or text, not {bound!r}")
    lower = [(bound, name) for name, bound in bounds.items() if name[0] == ">"]
    upper = [(bound, name) for name, bound in bounds.items() if name[0] == "<"]
    for (low, above), (high, below) in itertools.product(lower, upper):
        if isinstance(low, str) != isinstance(high, str):
            raise ConfigError(
                f"{subject}: '{above}' and '{below}' compare with a number and with text; nothing is both"
            )
        if low > high or (low == high and (above, below) != (">=", "<=")):
            raise ConfigError(f"{subject}: no value is {above} {low} and {below} {high}")


def _compares_numbers(wanted: Any) -> bool:
    bounds = cast(dict[str, Any], wanted) if isinstance(wanted, dict) else {}
    return any(name[0] in "<>" and not isinstance(bound, str) for name, bound in bounds.items())


def _names_tool(conditions: Any) -> bool:
    if isinstance(conditions, Mapping):
        items = cast(Mapping[str, Any], conditions).items()
        return any(key == "tool" or (key in ("all", "any", "not") and _names_tool(value)) for key, value in items)
    return isinstance(conditions, list) and any(_names_tool(part) for part in cast(list[Any], conditions))
