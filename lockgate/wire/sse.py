"""Server-sent events, read with the bytes that they were read from (https://html.spec.whatwg.org/#server-sent-events).

Nothing here does I/O. Unlike a browser, the reader also gives the block that an end of file leaves without its blank
line: some clients act on it, so it must be seen.
"""

from __future__ import annotations

import re

from lockgate.errors import WireError

MAX_BLOCK_BYTES = 64 * 2**20
"""A block is a message of the protocol; the largest real one is a whole reply repeated at its end."""

_TWO_ENDS = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")  # atomic: one CRLF is never taken for two ends
_LINE_END = re.compile(rb"\r\n|\n|\r")

type Block = tuple[bytes, bytes]
"""The bytes of a block, its blank line included, and its data lines joined by line feeds (b"" where it has none)."""


class SseReader:
    """Bytes in, cut anywhere; blocks out. The blocks' bytes, joined, are the stream byte for byte."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._first = True

    def receive_data(self, data: bytes) -> list[Block]:
        """The blocks that `data` completes; b"" says the stream is over and completes what is left.

        Raises WireError for a block of more than MAX_BLOCK_BYTES.
        """
        if not data:
            rest = self._take()
            return [self._block(rest)] if rest else []
        if self._rest and not _ends(bytes(self._rest[-3:]) + data):  # the end of a block takes up to four bytes
            self._keep(data)  # looked at once more when the block ends: a long block costs no search per piece
            return []
        buffer = self._take() + data if self._rest else data
        return [self._block(raw) for raw in (self._split(buffer) if b"\r" in buffer else self._split_plain(buffer))]

    def _split_plain(self, buffer: bytes) -> list[bytes]:
        """Every line ends with a line feed: what all providers send."""
        start, raws = 0, list[bytes]()
        while (at := buffer.find(b"\n\n", start)) >= 0:
            raws.append(buffer[start : at + 2])
            start = at + 2
        if start < len(buffer):
            self._keep(buffer[start:])
        return raws

    def _split(self, buffer: bytes) -> list[bytes]:
        start, raws = 0, list[bytes]()
        for match in _TWO_ENDS.finditer(buffer):
            raws.append(buffer[start : match.end()])
            start = match.end()
        self._keep(buffer[start:])
        return raws

    def _take(self) -> bytes:
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _keep(self, rest: bytes) -> None:
        self._rest += rest
        if len(self._rest) > MAX_BLOCK_BYTES:
            raise WireError(f"a server-sent event of more than {MAX_BLOCK_BYTES} bytes")

    def _block(self, raw: bytes) -> Block:
        text = raw
        if self._first:
            self._first = False
            text = raw.removeprefix(b"\xef\xbb\xbf")
        return raw, data_of(text)


def _ends(data: bytes) -> bool:
    return b"\n\n" in data or (b"\r" in data and _TWO_ENDS.search(data) is not None)


def data_of(block: bytes) -> bytes:
    """The data lines of a block, joined by line feeds."""
    at = block.find(b"data: ")
    starts_line = at == 0 or (at > 0 and block[at - 1] == 10)
    if starts_line and block.count(b"\ndata") + block.startswith(b"data") == 1 and b"\r" not in block:
        end = block.find(b"\n", at)  # one data line, the usual case
        return block[at + 6 : end] if end >= 0 else block[at + 6 :]
    return b"\n".join(value for name, value in map(_field, _LINE_END.split(block)) if name == b"data")


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")


def block_of(data: bytes, *, event: str = "") -> bytes:
    """A block that says `data`, which holds no line end."""
    return (b"event: %s\ndata: %s\n\n" % (event.encode(), data)) if event else b"data: %s\n\n" % data
