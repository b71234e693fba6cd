"""A reply that no rule sees, read along for what the next request will stand on."""

from __future__ import annotations

from contextlib import suppress

from lockgate.addons.passage import Passage
from lockgate.addons.reply import Ended
from lockgate.errors import WireError
from lockgate.wire.encoding import decode_body


class ReadAlong:
    """The stream object of a whole reply that passes as it comes; what is longer than it may be is not kept."""

    def __init__(self, passage: Passage, encoding: str, ended: Ended) -> None:
        self._passage, self._encoding, self._ended = passage, encoding, ended
        self._parts: list[bytes] = []
        self._bytes = 0

    def __call__(self, data: bytes) -> bytes:
        passage = self._passage
        passage.first_byte()
        self._bytes += len(data)
        if self._bytes > passage.reply_limit:
            self._parts = []
        elif data:
            self._parts.append(data)
        else:
            self._released()
        return data

    def _released(self) -> None:
        passage = self._passage
        with suppress(WireError):  # it is the client's; what it stands for is not known
            passage.release(document=decode_body(b"".join(self._parts), self._encoding, passage.reply_limit))
        self._ended(passage, None)

    def closed(self, reason: str, by_client: bool) -> None:
        if self._passage.refused:
            self._ended(self._passage, None)
            return
        self._passage.fault = self._passage.fault or reason
        self._ended(self._passage, "gone" if by_client else "cut")
