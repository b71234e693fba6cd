"""Content-Encoding for the scripted provider's replies, flushed at each piece, so that a stream stays a stream."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

import brotli
import zstandard

SUPPORTED = ("zstd", "br", "gzip", "deflate")


class Compressor(Protocol):
    """Pieces in, pieces out: each call gives all of what it was given."""

    def piece(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


class Identity:
    def piece(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


class Zlib:
    """gzip, or deflate in its zlib wrapping."""

    def __init__(self, window_bits: int) -> None:
        self._object = zlib.compressobj(wbits=window_bits)

    def piece(self, data: bytes) -> bytes:
        return self._object.compress(data) + self._object.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._object.flush()


class Brotli:
    def __init__(self) -> None:
        self._object: Any = brotli.Compressor(quality=4)  # pyright: ignore[reportUnknownMemberType]

    def piece(self, data: bytes) -> bytes:
        return self._object.process(data) + self._object.flush()

    def end(self) -> bytes:
        return self._object.finish()


class Zstd:
    def __init__(self) -> None:
        self._object = zstandard.ZstdCompressor().compressobj()

    def piece(self, data: bytes) -> bytes:
        return self._object.compress(data) + self._object.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._object.flush()


def chosen(encoding: str | None, accepted: str) -> str | None:
    """The encoding to use: the script's, or with `auto` the first that both sides know."""
    if encoding != "auto":
        return encoding
    names = [name.partition(";")[0].strip() for name in accepted.split(",")]
    return next((name for name in SUPPORTED if name in names), None)


def compressor(encoding: str | None) -> Compressor:
    match encoding:
        case None:
            return Identity()
        case "gzip":
            return Zlib(31)
        case "deflate":
            return Zlib(15)
        case "br":
            return Brotli()
        case "zstd":
            return Zstd()
        case _:
            raise ValueError(f"unknown encoding {encoding!r} in a script; known: {', '.join(SUPPORTED)}, auto")
