"""JSON schemas that clients declare, made ready to check arguments with, within bounds. Nothing is ever fetched.

What declares a tool may be a stranger's server: a schema may be broken, lead elsewhere, or be built to cost. Patterns
run in linear time, and a schema whose parts refer to each other so often that a check would take long is not used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, cast

import jsonschema_rs

from lockgate.errors import Error
from lockgate.wire.document import dumps

SCHEMA_BYTES = 1_000_000
"""A larger schema is not used. Real ones have up to some ten thousand."""
STEPS = 200_000
"""So many parts may be looked at for one value, with each part counted as often as it is referred to."""
DEPTH = 200
"""So long may a chain of parts be that lead to one another."""
KEPT = 512
"""So many schemas are kept ready, the latest used."""


class Unusable(Error):
    """A schema that nothing can be held against."""


class Schema:
    """A schema that is ready."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Raises Unusable."""
        self.steps = _Steps(document).count()
        try:
            self._validator = jsonschema_rs.validator_for(
                dict(document), retriever=_fetch_nothing, pattern_options=jsonschema_rs.RegexOptions()
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise Unusable("the schema that the client declares cannot be held against anything") from error

    def fault(self, value: Any) -> str:
        """What the schema does not allow, and where; "" for a value that it allows. The value itself is not told."""
        try:
            if self._validator.is_valid(value):
                return ""
            error = next(iter(self._validator.iter_errors(value)))
        except (ValueError, TypeError) as failure:
            raise Unusable("the schema cannot be held against these arguments") from failure
        where = ".".join(map(str, error.instance_path))[:200]
        return f"{where}: {_told(error.kind)}" if where else _told(error.kind)


def _told(kind: Any) -> str:
    """Which keyword of the schema it is, and what that asks for: names and types, never a value that was given."""
    asked = next(
        (getattr(kind, key) for key in ("property", "unexpected", "types", "options") if hasattr(kind, key)), ""
    )
    words = [str(one)[:80] for one in (cast(list[Any], asked) if isinstance(asked, list) else [asked]) if one != ""]
    more = ["…"] if len(words) > 10 else []
    return f"{kind.name}: {', '.join([*words[:10], *more])}" if words else str(kind.name)


_READY: OrderedDict[bytes, Schema | Unusable] = OrderedDict()


def ready(document: Mapping[str, Any]) -> Schema:
    """The schema, made once for equal documents. Raises Unusable."""
    text = dumps(document)
    key = blake2b(text, digest_size=16).digest()
    known = _READY.get(key)
    if known is None:
        known = _READY[key] = _made(document, len(text))
        if len(_READY) > KEPT:
            _READY.popitem(last=False)
    else:
        _READY.move_to_end(key)
    if isinstance(known, Unusable):
        raise Unusable(str(known))
    return known


def _made(document: Mapping[str, Any], size: int) -> Schema | Unusable:
    if size > SCHEMA_BYTES:
        return Unusable(f"the schema that the client declares has {size:,} bytes; {SCHEMA_BYTES:,} are read")
    try:
        return Schema(document)
    except Unusable as error:
        return error


def _fetch_nothing(uri: str) -> Any:
    raise ValueError("a schema that stands elsewhere is not fetched")


class _Steps:
    """How often the parts of a schema are looked at, where each reference counts as what it leads to."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def count(self) -> int:
        """Raises Unusable where it is too often."""
        return self._count(self._root, 0)

    def _count(self, node: Any, depth: int) -> int:
        if depth > DEPTH:
            raise Unusable("the parts of the schema that the client declares lead to one another too often")
        key = id(node)
        if key in self._open:
            return 0  # what leads back to itself goes on only as deep as the arguments
        if (known := self._known.get(key)) is not None:
            return known
        self._open.add(key)
        steps = 1 + sum(self._count(child, depth + 1) for child in self._children(node))
        self._open.discard(key)
        if steps > STEPS:
            raise Unusable("the parts of the schema that the client declares refer to each other too often")
        self._known[key] = steps
        return steps

    def _children(self, node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            for key, value in cast(dict[str, Any], node).items():
                if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(value, str):
                    yield self._target(value)
                elif isinstance(value, dict | list):
                    yield value
        elif isinstance(node, list):
            yield from (one for one in cast(list[Any], node) if isinstance(one, dict | list))

    def _target(self, reference: str) -> Any:
        """What a reference within the document leads to; the document itself where another sort leads anywhere."""
        node: Any = self._root
        if not reference.startswith("#/"):
            return node
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict):
                node = cast(dict[str, Any], node).get(name)
            elif isinstance(node, list) and name.isdecimal() and int(name) < len(cast(list[Any], node)):
                node = cast(list[Any], node)[int(name)]
            else:
                return None
        return node
