"""Content encodings: whole and cut anywhere, several over each other, damaged, and far too large inside."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from lockgate.errors import WireError
from lockgate.wire import encoding
from lockgate.wire.encoding import StreamDecoder, decode_body

LIMIT = 8 * 2**20


def deflate_bare(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def zstd_streamed(data: bytes) -> bytes:
    """Frames that do not say how long they are, as a stream has them."""
    coder = zstandard.ZstdCompressor().compressobj()
    return coder.compress(data) + coder.flush()


def br(data: bytes) -> bytes:
    return brotli.compress(data)


CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip, its old name": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", deflate_bare),
    "br": ("br", br),
    "zstd": ("zstd", zstd),
    "zstd without a size": ("zstd", zstd_streamed),
    "identity": ("identity", bytes),
    "none": ("", bytes),
    "br over gzip": ("gzip, br", lambda data: br(gzip.compress(data))),
    "gzip over zstd over deflate": ("deflate,zstd , gzip", lambda data: gzip.compress(zstd(zlib.compress(data)))),
    "identity between": ("gzip, identity", gzip.compress),
    "in capitals": ("GZip", gzip.compress),
}
BODIES = {
    "empty": b"",
    "one byte": b"x",
    "text": "Grüße, 👩‍💻! ".encode() * 40,
    "random": random.Random(1).randbytes(70_000),
    "zeros, a whole piece": bytes(encoding.PIECE_BYTES),
    "zeros, many pieces": bytes(2**20 + 1),
}
coders = pytest.mark.parametrize("coder", CODERS)
members = pytest.mark.parametrize(("name", "coder"), [("gzip", gzip.compress), ("zstd", zstd), ("zstd", zstd_streamed)])
damageable = pytest.mark.parametrize("coder", [coder for coder, (_, code) in CODERS.items() if code is not bytes])


@coders
@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_decoded(coder: str, body: str):
    name, code = CODERS[coder]
    assert decode_body(code(BODIES[body]), name, LIMIT) == BODIES[body]


@coders
@pytest.mark.parametrize("body", ["empty", "one byte", "text"])
def test_a_stream_is_decoded_cut_at_every_byte(coder: str, body: str):
    name, code = CODERS[coder]
    decoder = StreamDecoder(name)
    decoded = b"".join(decoder.receive_data(bytes([byte])) for byte in code(BODIES[body])) + decoder.finish()
    assert decoded == BODIES[body]


@coders
def test_no_bytes_at_all_are_an_empty_body(coder: str):
    assert decode_body(b"", CODERS[coder][0], LIMIT) == b""


@members
def test_several_members_are_one_body(name: str, coder: Callable[[bytes], bytes]):
    data = coder(b"one ") + coder(b"") + coder(b"two")
    decoder = StreamDecoder(name)
    assert decode_body(data, name, LIMIT) == b"one two"
    assert b"".join(decoder.receive_data(bytes([byte])) for byte in data) + decoder.finish() == b"one two"


def test_zeros_after_a_gzip_member_are_padding():
    assert decode_body(gzip.compress(b"x") + bytes(1000), "gzip", LIMIT) == b"x"


def _flushed(name: str) -> list[bytes]:
    """Three pieces of a body, flushed one by one."""
    pieces = [b"one ", b"two ", b"three"]
    if name == "br":
        coder = brotli.Compressor()
        return [coder.process(piece) + coder.flush() for piece in pieces]
    if name == "zstd":
        coder = zstandard.ZstdCompressor().compressobj()
        return [coder.compress(piece) + coder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for piece in pieces]
    coder = zlib.compressobj(wbits=31 if name == "gzip" else 15 if name == "deflate" else -15)
    return [coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]


@pytest.mark.parametrize("name", ["gzip", "deflate", "bare", "br", "zstd"])
def test_a_stream_gives_at_once_what_was_flushed(name: str):
    decoder = StreamDecoder(name.replace("bare", "deflate"))
    assert [decoder.receive_data(piece) for piece in _flushed(name)] == [b"one ", b"two ", b"three"]


@pytest.mark.parametrize("name", ["gzip", "deflate", "bare", "br", "zstd"])
def test_a_stream_that_is_cut_is_an_error(name: str):
    decoder = StreamDecoder(name.replace("bare", "deflate"))
    for piece in _flushed(name):
        decoder.receive_data(piece)
    with pytest.raises(WireError, match="cut short"):
        decoder.finish()


@damageable
def test_a_body_cut_anywhere_is_an_error(coder: str):
    name, code = CODERS[coder]
    data = code(BODIES["text"])
    for at in range(1, len(data)):
        with pytest.raises(WireError, match=r"cut short|damaged"):
            decode_body(data[:at], name, LIMIT)


@damageable
def test_other_bytes_are_an_error(coder: str):
    with pytest.raises(WireError, match=r"content encoding is damaged"):
        decode_body(b"\xff" * 100, CODERS[coder][0], LIMIT)


@damageable
def test_bytes_after_the_end_are_an_error(coder: str):
    name, code = CODERS[coder]
    with pytest.raises(WireError, match="content encoding is damaged"):
        decode_body(code(b"x") + b"more", name, LIMIT)


@damageable
def test_a_body_of_exactly_the_limit_passes_and_one_more_byte_does_not(coder: str):
    name, code = CODERS[coder]
    data = random.Random(2).randbytes(100) + bytes(100_000)
    assert decode_body(code(data), name, len(data)) == data
    with pytest.raises(WireError, match=f"more than the {len(data) - 1} bytes allowed"):
        decode_body(code(data), name, len(data) - 1)


def test_a_plain_body_over_the_limit_is_an_error():
    with pytest.raises(WireError, match="11 bytes is more than the 10"):
        decode_body(b"x" * 11, "identity", 10)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_stopped_before_it_grows(name: str, monkeypatch: pytest.MonkeyPatch):
    """Ten bombs over each other would be 40 MiB; what was decoded when it stopped is near the limit."""
    code = CODERS[name][1]
    decoded: list[int] = []
    join = encoding._Layer.decode

    def count(layer: encoding._Layer, data: bytes, limit: int) -> bytes:
        coding = layer._coding
        original = coding.decode
        coding.decode = lambda data: (decoded.append(len(piece)) or piece for piece in original(data))
        return join(layer, data, limit)

    monkeypatch.setattr(encoding._Layer, "decode", count)
    with pytest.raises(WireError, match="hides more than the 1000000 bytes"):
        decode_body(code(bytes(40 * 2**20)), name, 1_000_000)
    assert sum(decoded) < 1_000_000 + 9 * 2**20


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_piece_of_a_stream_may_not_become_too_much(name: str):
    decoder = StreamDecoder(name, call_bytes=1_000_000)
    with pytest.raises(WireError, match="hides more than"):
        decoder.receive_data(CODERS[name][1](bytes(2_000_000)))


def test_a_window_larger_than_the_standard_allows_is_an_error():
    parameters = zstandard.ZstdCompressionParameters(window_log=25)
    coder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(WireError, match="zstd content encoding is damaged"):
        decode_body(coder.compress(b"x" * 100) + coder.flush(), "zstd", LIMIT)


@pytest.mark.parametrize("name", ["compress", "gzip, snappy", "gzip;q=1", "\x00", "x" * 1000])
def test_an_unknown_encoding_is_an_error_that_names_it_and_the_known(name: str):
    with pytest.raises(WireError, match="is not known; known are: gzip") as raised:
        decode_body(b"x", name, LIMIT)
    assert len(str(raised.value)) < 150


def test_too_many_encodings_over_each_other_are_an_error():
    with pytest.raises(WireError, match="4 content encodings"):
        StreamDecoder("gzip, gzip, gzip, gzip")
