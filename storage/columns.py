"""Column types that give back what they were given, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, LargeBinary, Text, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from lockgate.storage.packing import pack, unpack

_ESCAPE = "\x1a"  # SUBSTITUTE: made for this, and in no text that people write
_UNSTORABLE = re.compile(f"[\x00{_ESCAPE}\ud800-\udfff]")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")


def escape(text: str) -> str:
    """The text with NUL, which PostgreSQL refuses, and lone surrogates, which nobody stores, in a reversible form."""
    return _UNSTORABLE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def gaps(text: str) -> str:
    """The same with a space for each of them: the escapes are letters and digits, which would grow onto words."""
    return _UNSTORABLE.sub(" ", text)


def unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if _ESCAPE in text else text


class AnyText(TypeDecorator[str]):
    """Text of any characters at all."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unescape(value)


class Names(TypeDecorator[tuple[str, ...]]):
    """A few words that queries look for: a JSON array."""

    impl = JSON().with_variant(JSONB(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> list[str]:
        return [escape(name) for name in value or ()]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...]:
        return tuple(unescape(name) for name in value or ())


class UtcTime(TypeDecorator[datetime]):
    """A moment to the microsecond. SQLite forgets the zone, so it is always UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PackedJson(TypeDecorator[bytes]):
    """JSON text as bytes, compressed where that makes it smaller."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else pack(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else unpack(value)


def Id() -> Uuid[str]:
    """A UUIDv7: 16 bytes in PostgreSQL, 32 hexadecimal digits in SQLite; both sort by time."""
    return Uuid(as_uuid=False)
