"""A streamed reply whose frames the log keeps: as they came, and as they left."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.addons.held import Output
from lockgate.addons.passage import Passage
from lockgate.addons.reply import Ended, StreamedReply
from lockgate.errors import WireError
from lockgate.frames.kept import Kept
from lockgate.sections import Log
from lockgate.wire.codec import Frame


def streamed_reply(passage: Passage, encoding: str, ended: Ended, log: Log) -> StreamedReply:
    """The stream object of a reply. One whose frames are not kept knows nothing of this."""
    if log.frames == "none":
        return StreamedReply(passage, encoding, ended)
    return KeptReply(passage, encoding, ended, Kept(log.frame_bytes, only_changed=log.frames == "changed"))


class KeptReply(StreamedReply):
    """Notes what comes and what leaves. What cannot be read is kept as it was given by the connection."""

    def __init__(self, passage: Passage, encoding: str, ended: Ended, kept: Kept) -> None:
        super().__init__(passage, encoding, ended)
        self._kept = passage.kept = kept

    def keep_alive(self) -> bytes:
        data = super().keep_alive()
        if data:
            self._kept.left(data)
        return data

    def _frames(self, data: bytes) -> Sequence[Frame]:
        frames = super()._frames(data)
        self._kept.came((Frame(data),) if self._blind else frames)
        return frames

    def _emit(self, frame: Frame, out: Sequence[object]) -> bytes:
        data = super()._emit(frame, out)
        self._kept.left(data, frame.raw)
        return data

    def _release(self) -> None:
        if self.verbatim:
            self._kept.passed()
        super()._release()

    def _unreadable(self, error: WireError, data: bytes) -> Output:
        self._kept.came((Frame(data),))
        out = super()._unreadable(error, data)
        if out is data:
            self._kept.passed()
        return out

    def _refusal(self, sentence: str) -> bytes:
        data = super()._refusal(sentence)
        self._kept.left(data)
        return data
