"""Server-sent events: the standard's line ends, cut anywhere, and the bytes they were read from."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import WireError
from lockgate.wire import sse
from lockgate.wire.sse import SseReader, block_of, data_of

BOM = b"\xef\xbb\xbf"
ODD = "äöü 👩‍💻 \u2028 \x0b\x0c\x85".encode()
CASES = [
    pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="line feeds"),
    pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="carriage returns and line feeds"),
    pytest.param(b"data: a\r\rdata: b\r\r", [b"a", b"b"], id="carriage returns"),
    pytest.param(b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\r", [b"a", b"b", b"c", b"d"], id="mixed line ends"),
    pytest.param(b"event: x\r\ndata: a\r\n\r\nevent: y\r\ndata: b\r\n\r\n", [b"a", b"b"], id="two lines with CRLF"),
    pytest.param(b"data: a\ndata: b\ndata:  c\n\n", [b"a\nb\n c"], id="several data lines, one space taken off each"),
    pytest.param(b"data: a\r\ndata: b\r\ndata\r\n\r\n", [b"a\nb\n"], id="data lines with CRLF, one without colon"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [b"a", b"b"], id="byte order mark"),
    pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"], id="byte order mark in the middle is part of a name"),
    pytest.param(b"id: 1\n\nevent: x\n\ndata: a\n\n", [b"a"], id="blocks with an id or an event only"),
    pytest.param(b": hello\n\ndata: a\n: data: no\n\n", [b"a"], id="comments"),
    pytest.param(b"data:a\n\n", [b"a"], id="no space"),
    pytest.param(b"databases: a\nmetadata: b\n data: c\n\n", [], id="names that only contain data"),
    pytest.param(b"event: data: a\ndata: b\n\n", [b"b"], id="data inside another field"),
    pytest.param(b"data:a\ndata: b\n\n", [b"a\nb"], id="the first of two data lines without a space"),
    pytest.param(b'data: {"text":"data: x"}\n\n', [b'{"text":"data: x"}'], id="data inside data"),
    pytest.param(b"retry: 5\nid: 3\nevent: x\ndata: a\nother\n\n", [b"a"], id="all fields"),
    pytest.param(b"\n\n\ndata: a\n\n\n\ndata: b\n\n", [b"a", b"b"], id="more blank lines than needed"),
    pytest.param(b"data: %s\n\n" % ODD, [ODD], id="UTF-8, and what only other standards call line ends"),
    pytest.param(b"data: \xff\xfe\n\n", [b"\xff\xfe"], id="bytes that are no UTF-8"),
    pytest.param(b"data: a\n\ndata: b\n", [b"a", b"b"], id="end without a blank line"),
    pytest.param(b"data: a\n\ndata: b", [b"a", b"b"], id="end without a line end"),
    pytest.param(b"", [], id="nothing"),
    pytest.param(b"data: %s\n\n" % (b"x" * 5000), [b"x" * 5000], id="long"),
]


def blocks(pieces: list[bytes]) -> list[sse.Block]:
    reader = SseReader()
    return [block for piece in [*(piece for piece in pieces if piece), b""] for block in reader.receive_data(piece)]


def data(pieces: list[bytes]) -> list[bytes]:
    return [data for _, data in blocks(pieces) if data]


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_data_of_a_stream_in_one_piece(stream: bytes, expected: list[bytes]):
    assert data([stream]) == expected


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_data_of_a_stream_cut_at_every_byte(stream: bytes, expected: list[bytes]):
    assert data([stream[at : at + 1] for at in range(len(stream))]) == expected


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_data_of_a_stream_cut_in_two_anywhere(stream: bytes, expected: list[bytes]):
    for at in range(min(len(stream), 200)):
        assert data([stream[:at], stream[at:]]) == expected


@given(
    pieces=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"data: ", b"data", b"x", b":", b"id: 1", BOM])),
    cuts=st.lists(st.integers(min_value=0, max_value=60)),
)
def test_bytes_of_the_blocks_are_the_stream_and_cuts_change_nothing(pieces: list[bytes], cuts: list[int]):
    stream = b"".join(pieces)
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    cut = [stream[start:end] for start, end in pairwise(places)]
    assert b"".join(raw for raw, _ in blocks(cut)) == stream
    assert data(cut) == data([stream])


def test_a_block_comes_as_soon_as_its_blank_line_is_there():
    reader = SseReader()
    assert reader.receive_data(b"data: a\r\n\r") == [(b"data: a\r\n\r", b"a")]
    assert reader.receive_data(b"\ndata: b\n") == []
    assert reader.receive_data(b"\n") == [(b"\ndata: b\n\n", b"b")]


def test_a_long_block_in_many_pieces():
    piece = b"x" * 1000
    stream = [b"data: ", *[piece] * 3000, b"\n", b"\n"]
    assert data(stream) == [piece * 3000]


@pytest.mark.parametrize("piece", [b"x", b"data: x\r", b"data: x\n"])
def test_a_block_without_end_is_an_error(piece: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_BLOCK_BYTES", 1000)
    reader = SseReader()
    with pytest.raises(WireError, match="more than 1000 bytes"):
        all(reader.receive_data(piece) == [] for _ in range(1001))


@pytest.mark.parametrize("event", ["", "message_stop"])
def test_a_block_that_is_written_reads_back(event: str):
    block = block_of(b'{"a":1}', event=event)
    assert blocks([block]) == [(block, b'{"a":1}')]
    assert block.startswith(b"event: message_stop\n") is bool(event)


def test_data_of_a_block_by_itself():
    assert data_of(b"event: x\ndata: a\ndata: b\n\n") == b"a\nb"
    assert data_of(b"event: x\n\n") == b""
