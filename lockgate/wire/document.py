"""JSON, read so that no two parsers can disagree about what it says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, cast

import orjson

from lockgate.errors import WireError

MAX_DEPTH = 254
"""What orjson still writes: deeper than any real document, and safe for whatever walks one."""


class NotJson(WireError):
    """No parser reads it, so that whoever receives it cannot act on it either."""


def loads(data: bytes | str) -> Any:
    """The document: orjson's reading, else the standard parser's. Raises WireError, NotJson among them."""
    document = _parse(data)
    if len(data) > 2 * MAX_DEPTH:  # each level takes two bytes
        _check_depth(document)
    return document


def loads_object(data: bytes | str) -> dict[str, Any]:
    """The document, which is an object without a repeated key, every integer whole. Raises WireError."""
    document = _parse(data)
    if not isinstance(document, dict):
        raise WireError(f"not a JSON object but {type(document).__name__}")
    return cast(dict[str, Any], _exact(data, document))


def _exact(data: bytes | str, document: Any) -> Any:
    """The document read with care: no key is repeated, as a check and the provider could read different values, and
    an integer past 64 bits is not rounded.

    A document that comes out as it went in is exact, which is the usual case and costs one encoding.
    """
    encoded = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if _encoded(document) == encoded:
        return document
    exact = _standard(data)
    _check_depth(exact)
    return exact


def _parse(data: bytes | str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _standard(data)


def _standard(data: bytes | str) -> Any:
    """The slow reading: it also takes a byte order mark, NaN and lone surrogates, as many services do."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise WireError(f"not UTF-8, which JSON has to be: byte {error.start} cannot be read") from error
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON: {error}") from error
    except ValueError as error:
        raise WireError("a number of more digits than any parser agrees on") from error
    except RecursionError as error:
        raise WireError(f"nested deeper than {MAX_DEPTH} levels") from error


class _Constant(float):
    """NaN or an infinity, by its name. Orjson would write null for it; a type of its own makes it refuse instead."""


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise WireError("a number too large for a float, which parsers read differently")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise WireError(f"the key {repeated[:80]!r} is repeated in one object")
    return document


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_Constant)


def _encoded(document: Any) -> bytes | None:
    try:
        return orjson.dumps(document)
    except TypeError:  # too deep, or a value that only the standard encoder writes
        return None


def _check_depth(document: Any) -> None:
    if _encoded(document) is not None:
        return
    depth, level = 0, _containers([document])
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise WireError(f"nested deeper than {MAX_DEPTH} levels")
        level = [child for node in level for child in _containers(node)]


def _containers(values: Iterable[Any]) -> list[Iterable[Any]]:
    """What else holds values among these values, each as the values that it holds."""
    dicts = [cast(dict[str, Any], value).values() for value in values if isinstance(value, dict)]
    return [*dicts, *(cast(list[Any], value) for value in values if isinstance(value, list))]


def dumps(document: Any) -> bytes:
    """The document as JSON text in UTF-8, without white space; lone surrogates, NaN and huge integers are kept."""
    encoded = _encoded(document)
    return json.dumps(document, separators=(",", ":")).encode() if encoded is None else encoded


def loads_exact(data: bytes | str) -> Any:
    """The document, with no repeated key and every integer whole. Raises WireError."""
    return _exact(data, _parse(data))


def loads_plain(data: bytes) -> Any:
    """The document of what was written as `dumps` writes it; None for all else, whatever it says."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return document if _encoded(document) == data else None


def canonical(document: Any) -> bytes:
    """JSON text that is the same for equal documents: keys are sorted. 1 and 1.0 are not equal here."""
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def spellings(document: Any) -> Iterator[bytes]:
    """The document as clients write it, the likeliest first: without and with white space, in UTF-8 and in ASCII."""
    yield dumps(document)
    for separators in ((",", ":"), (", ", ": ")):
        for ascii_only in (True, False):
            text = json.dumps(document, separators=separators, ensure_ascii=ascii_only)
            yield text.encode("utf-8", "surrogatepass")
