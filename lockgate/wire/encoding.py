"""Content encodings undone: gzip, deflate, br and zstd, alone or one over the other (RFC 9110, section 8.4).

Nothing here does I/O. Whatever comes out is counted as it comes, so that few bytes cannot become too many.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol, cast

import brotli
import zstandard

from lockgate.errors import WireError

PIECE_BYTES = 64 * 2**10
"""How much one step of a decoder gives at most, where the library lets us say so."""
CALL_BYTES = 64 * 2**20
"""What one piece of a stream may become: a thousand times what one read of a socket brings."""
MAX_CODINGS = 3
"""Nobody sends even two; each one more multiplies what a few bytes can become."""

_ZSTD_WINDOW_BYTES = 8 * 2**20  # the most that RFC 9659 lets a content coding ask for
_ZSTD_SLICE_BYTES = 256  # the library gives all at once, and four bytes can become 128 KiB


class Coding(Protocol):
    """One encoding of one body, on the way to being undone."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What `data`, cut anywhere, can become now, in pieces. Raises the library's error, or WireError."""
        ...

    def complete(self) -> bool:
        """Whether the data ended where it may end."""
        ...


class _Zlib:
    """gzip, of several members too, and both things that servers call deflate: zlib's format and bare deflate."""

    def __init__(self, window_bits: int) -> None:
        self._bits = window_bits
        self._members = 0
        self._decoder = zlib.decompressobj(window_bits)

    def decode(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        while data or len(piece) == PIECE_BYTES:  # a full piece may leave more inside the library
            if self._decoder.eof and not self._next_member(data):
                return
            piece = self._decoder.decompress(data, PIECE_BYTES)
            yield piece
            data = self._decoder.unconsumed_tail or self._decoder.unused_data

    def _next_member(self, data: bytes) -> bool:
        if not data.strip(b"\0"):  # padding, which gzip allows after its last member
            return False
        if self._bits != _GZIP:
            raise WireError("bytes follow its end")
        self._decoder = zlib.decompressobj(self._bits)
        return True

    def complete(self) -> bool:
        return self._decoder.eof


_GZIP = 16 + zlib.MAX_WBITS


class _Deflate:
    """Waits for two bytes, which tell zlib's format, as the standard asks for, from bare deflate, as some send it."""

    def __init__(self) -> None:
        self._head = b""
        self._decoder: _Zlib | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            self._head += data
            if len(self._head) < 2:
                return
            data = self._head
            has_header = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._decoder = _Zlib(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        yield from self._decoder.decode(data)

    def complete(self) -> bool:
        return self._decoder is not None and self._decoder.complete()


class _BrotliLibrary(Protocol):
    """What brotli's decoder offers; the library ships no types."""

    def process(self, data: bytes, *, output_buffer_limit: int) -> bytes: ...
    def can_accept_more_data(self) -> bool: ...
    def is_finished(self) -> bool: ...


class _Brotli:
    def __init__(self) -> None:
        self._decoder = cast(_BrotliLibrary, brotli.Decompressor())  # pyright: ignore[reportUnknownMemberType]

    def decode(self, data: bytes) -> Iterator[bytes]:
        if data and self._decoder.is_finished():
            raise WireError("bytes follow its end")
        piece = self._decoder.process(data, output_buffer_limit=PIECE_BYTES)
        yield piece
        while self._has_more(piece):
            piece = self._decoder.process(b"", output_buffer_limit=PIECE_BYTES)
            yield piece

    def _has_more(self, piece: bytes) -> bool:
        """A full piece may leave more inside the library, even where that says it could take more data."""
        unfinished = not self._decoder.is_finished()
        return unfinished and (len(piece) >= PIECE_BYTES or not self._decoder.can_accept_more_data())

    def complete(self) -> bool:
        return self._decoder.is_finished()


class _Zstd:
    """zstd, of several frames too."""

    def __init__(self) -> None:
        self._library = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._decoder = self._library.decompressobj()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE_BYTES):
            rest = data[start : start + _ZSTD_SLICE_BYTES]
            while rest:
                if self._decoder.eof:
                    self._decoder = self._library.decompressobj()
                yield self._decoder.decompress(rest)
                rest = self._decoder.unused_data

    def complete(self) -> bool:
        return self._decoder.eof


_BrotliError = cast(type[Exception], brotli.error)  # pyright: ignore[reportUnknownMemberType]

_CODINGS: dict[str, Callable[[], Coding]] = {
    "gzip": lambda: _Zlib(_GZIP),
    "x-gzip": lambda: _Zlib(_GZIP),
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


class StreamDecoder:
    """A body decoded while it comes: each call gives all that can be read so far."""

    def __init__(self, encoding: str, *, call_bytes: int = CALL_BYTES) -> None:
        """`encoding` is the Content-Encoding header. Raises WireError for one that is not known."""
        self._layers = [_Layer(name) for name in reversed(_names(encoding))]  # the last one applied is undone first
        self._limit = call_bytes

    def receive_data(self, data: bytes) -> bytes:
        """What `data` completes. Raises WireError where it is damaged or becomes more than `call_bytes`."""
        for layer in self._layers:
            if not data:
                break
            data = layer.decode(data, self._limit)
        return data

    def finish(self) -> bytes:
        """What is left, which is nothing: all was given at once. Raises WireError for data that was cut short."""
        for layer in self._layers:
            layer.finish()
        return b""


class _Layer:
    """One coding with its name, its bound and its errors translated."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._coding = _CODINGS[name]()
        self._begun = False

    def decode(self, data: bytes, limit: int) -> bytes:
        self._begun = True
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in self._coding.decode(data):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    break
        except (WireError, zlib.error, _BrotliError, zstandard.ZstdError) as error:
            raise WireError(f"the {self._name} content encoding is damaged: {error}") from error
        if size > limit:
            raise WireError(f"the {self._name} content encoding hides more than the {limit} bytes allowed")
        return b"".join(pieces)

    def finish(self) -> None:
        if self._begun and not self._coding.complete():
            raise WireError(f"the {self._name} content encoding is damaged: it was cut short")


def decode_body(data: bytes, encoding: str, limit: int) -> bytes:
    """A whole body, decoded to `limit` bytes at most. Raises WireError beyond that, and for damaged data."""
    if len(data) > limit:
        raise WireError(f"a body of {len(data)} bytes is more than the {limit} bytes allowed")
    decoder = StreamDecoder(encoding, call_bytes=limit)
    decoded = decoder.receive_data(data)
    decoder.finish()
    return decoded


def _names(encoding: str) -> list[str]:
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    for name in names:
        if name not in _CODINGS:
            raise WireError(f"the content encoding {name[:40]!r} is not known; known are: {', '.join(_CODINGS)}")
    if len(names) > MAX_CODINGS:
        raise WireError(f"{len(names)} content encodings, one over the other; {MAX_CODINGS} are the most")
    return names
