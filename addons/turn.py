"""A reply that waits for its end, because the rules may let another one go on in its place."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.addons.passage import Passage
from lockgate.errors import WireError, told
from lockgate.events import MessageEnd, MessageStart, ReplyError, Turn, Unknown
from lockgate.wire.codec import Frame, Reply


class HeldTurn:
    """The frames of a reply, until it is whole and the rules have said which reply goes on."""

    def __init__(self, passage: Passage, reply: Reply, *, streamed: bool) -> None:
        self._passage, self._reply, self._streamed = passage, reply, streamed
        self._frames: list[Frame] = []
        self._opening: Sequence[Frame] = ()
        """What the client was sent all the same, so that it could be kept alive."""
        self._kept_alive = 0
        self._is_error = False

    def take(self, frames: Sequence[Frame]) -> bool:
        """Whether the reply is whole now, or never will be."""
        self._frames += frames
        said = [event for frame in frames for event in frame.events]
        self._is_error = self._is_error or any(isinstance(event, ReplyError) for event in said)
        return self._is_error or any(isinstance(event, MessageEnd) for event in said)

    def keep_alive(self) -> bytes:
        """The reply's opening first, as every reply to the request begins alike; then the format's keep-alive."""
        if self._opening:
            data = self._reply.keep_alive()
            self._kept_alive += bool(data)
            return data
        self._opening = _opening(self._frames)
        return b"".join(self._reply.emit(frame, frame.events) for frame in self._opening)

    async def release(self) -> tuple[Reply, Sequence[Frame]]:
        """The codec and the frames that go on; what the client has of them already is left out. Raises Refused."""
        pipeline, frames = self._passage.pipeline, self._frames
        if self._is_error:
            return self._reply, await self._unsent(frames)
        turn = Turn(
            body=b"".join(frame.raw for frame in frames),
            events=tuple(event for frame in frames for event in frame.events),
            usage=self._reply.usage,
        )
        chosen = await pipeline.turn(turn)
        if chosen is turn:
            return self._reply, await self._unsent(frames)
        return await self._other(chosen)

    async def _unsent(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        for frame in self._opening:
            await self._passage.pipeline.reply(frame.events)  # the rules see every reply from its beginning
        return frames[len(self._opening) :]

    async def _other(self, turn: Turn) -> tuple[Reply, Sequence[Frame]]:
        """The other reply goes through a codec of its own, brought to where the client is."""
        reply = self._passage.replace_reply(streamed=self._streamed)
        frames = [*read(reply, turn.body), *read(reply, b"")]
        self._passage.note(frames)
        if self._opening:
            self._opening = _opening(frames)
            for frame in self._opening:
                reply.emit(frame, frame.events)
            for _ in range(self._kept_alive):
                reply.keep_alive()  # counted, where the format counts its frames
        return reply, await self._unsent(frames)


def _opening(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The frames up to the one that starts the message, where they say nothing else."""
    for count, frame in enumerate(frames, 1):
        if not all(isinstance(event, MessageStart | Unknown) for event in frame.events):
            return ()
        if any(isinstance(event, MessageStart) for event in frame.events):
            return frames[:count]
    return ()


def read(reply: Reply, data: bytes) -> Sequence[Frame]:
    """The frames that the bytes complete. Raises WireError, also where a codec meets what it did not think of."""
    try:
        return reply.receive_data(data)
    except WireError:
        raise
    except Exception as error:
        raise WireError(f"a shape that no reply has ({told(error)})") from error
