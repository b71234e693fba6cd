"""Records as bytes and back, in frames that tell whether they are whole. Nothing here does I/O.

A frame is a mark, the length of its payload, a checksum of it and the payload: a JSON head with the record's fields,
then those fields that are bytes, as they are. The checksum has a key, the name of the file, so that bytes which a
client or a provider sent can never pass for a record when a damaged file is searched for what is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from hashlib import blake2b
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, cast, get_args, get_origin, get_type_hints

from lockgate.records import Record
from lockgate.wire.document import dumps, loads

VERSION = 1
"""Of the frames and of what the fields mean; a file's first line names it."""
MARK = b"\xf7LG\xf8"  # no UTF-8 has these bytes, and JSON, most of what is kept, is UTF-8
CHECKSUM_BYTES = 8
_FRAME = struct.Struct(f"<4sI{CHECKSUM_BYTES}s")
_HEAD = struct.Struct("<I")


class Unreadable(Exception):
    """A whole frame holds no record that this version knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes of a file from `start` to `end`: a record's payload, or None where they are no whole frame."""

    start: int
    end: int
    payload: bytes | None


def frame(record: Record, key: bytes) -> bytes:
    """The record's frame, for a file with this key."""
    payload = to_bytes(record)
    return _FRAME.pack(MARK, len(payload), _checksum(payload, key)) + payload


def pieces(data: bytes, start: int, key: bytes) -> Iterator[Piece]:
    """What the data holds from `start` on; where a frame is damaged, up to the next one that is whole."""
    while start < len(data):
        if (piece := _whole(data, start, key)) is None:
            piece = Piece(start=start, end=_next_whole(data, start + 1, key), payload=None)
        yield piece
        start = piece.end


def to_bytes(record: Record) -> bytes:
    """The record without a frame: equal records give equal bytes."""
    kind = _KINDS[type(record).__name__]
    values: dict[str, Any] = {}
    blobs: list[bytes] = []
    for name, form in kind.forms.items():
        value = getattr(record, name)
        if value is None:
            values[name] = None
        elif form is _BLOB:
            values[name] = len(value)
            blobs.append(value)
        else:
            values[name] = form.out(value)
    head = dumps([kind.name, values])
    return b"".join((_HEAD.pack(len(head)), head, *blobs))


def from_bytes(payload: bytes) -> Record:
    """Raises Unreadable."""
    try:
        (length,) = _HEAD.unpack_from(payload)
        at = _HEAD.size + length
        name, values = loads(payload[_HEAD.size : at])
        kind, given = _KINDS[name], cast(dict[str, Any], values)
        for field, value in given.items():
            form = kind.forms[field]
            if value is not None and form is _BLOB:
                given[field] = payload[at : at + value]
                at += value
            elif value is not None:
                given[field] = form.back(value)
        return kind.type(**given)
    except Exception as error:
        raise Unreadable(f"{type(error).__name__} in a record of another version") from error


def _whole(data: bytes, start: int, key: bytes) -> Piece | None:
    begin = start + _FRAME.size
    if begin > len(data):
        return None
    mark, length, checksum = _FRAME.unpack_from(data, start)
    if mark != MARK or begin + length > len(data):
        return None
    payload = data[begin : begin + length]
    return Piece(start=start, end=begin + length, payload=payload) if _checksum(payload, key) == checksum else None


def _next_whole(data: bytes, start: int, key: bytes) -> int:
    while (start := data.find(MARK, start)) >= 0:
        if _whole(data, start, key):
            return start
        start += 1
    return len(data)


def _checksum(payload: bytes, key: bytes) -> bytes:
    return blake2b(payload, digest_size=CHECKSUM_BYTES, key=key).digest()


# How each field becomes JSON, read from the records' annotations.


@dataclass(frozen=True, slots=True)
class _Form:
    out: Callable[[Any], Any]
    back: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    type: Callable[..., Record]
    forms: Mapping[str, _Form]


def _same(value: Any) -> Any:
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in cast(list[Any], value)) if isinstance(value, list) else value


_PLAIN = _Form(_same, _same)
_BLOB = _Form(_same, _same)
_TIME = _Form(datetime.isoformat, datetime.fromisoformat)
_MAPPING = _Form(dict, _same)


def _form(hint: Any) -> _Form:
    """How a field of this annotation is written. Raises TypeError for one that nobody has thought of yet."""
    while isinstance(hint, TypeAliasType):
        hint = hint.__value__
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (hint,) = (one for one in arguments if one is not NoneType)
        return _form(hint)
    if hint in (str, int, float, bool) or origin is Literal:
        return _PLAIN
    if hint is bytes:
        return _BLOB
    if hint is datetime:
        return _TIME
    if origin in (Mapping, dict):
        return _MAPPING
    if origin in (Sequence, tuple) and _plain_inside(arguments):
        return _Form(list, _tuples)
    if is_dataclass(hint):
        inner = cast(type, hint)
        return _Form(cast(Any, asdict), lambda values: inner(**values))
    raise TypeError(f"the journal does not know how to keep a field of type {hint}")


def _plain_inside(arguments: tuple[Any, ...]) -> bool:
    """Whether a sequence holds words and numbers only, or sequences of them."""
    return all(one in (str, int, float, bool, ...) or _plain_inside(get_args(one)) for one in arguments) and (
        len(arguments) > 0
    )


def _kind(record: Any) -> _Kind:
    hints = get_type_hints(record)
    return _Kind(record.__name__, record, {field.name: _form(hints[field.name]) for field in fields(record)})


_KINDS = {record.__name__: _kind(record) for record in get_args(Record.__value__)}
