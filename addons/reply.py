"""A reply on its way to the client: streamed frame by frame, or whole."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence

from mitmproxy import http

from lockgate.addons.bodies import set_body
from lockgate.addons.held import EndStream, Output
from lockgate.addons.passage import Passage
from lockgate.addons.turn import HeldTurn, read
from lockgate.errors import WireError, told
from lockgate.policies.pipeline import Refused
from lockgate.records import Outcome
from lockgate.wire.codec import Frame, Reply
from lockgate.wire.document import canonical, loads_exact
from lockgate.wire.encoding import StreamDecoder, decode_body

log = logging.getLogger(__name__)

FAILED = "Lockgate could not check this, and what cannot be checked does not pass; its log says why."

_BLANKS = b"\xef\xbb\xbf \t\r\n"

type Ended = Callable[[Passage, Outcome | None], None]


class _TooLong(WireError):
    """The reply is longer than it may be, whoever wants to see it."""


class StreamedReply:
    """The stream object of one reply (`ReplyStream` in stream.py): bytes of the provider in, bytes for the client out.

    Where no rule can change the reply, bytes pass as they came, cut as they came, and are only read along. Else they
    pass frame by frame; frames that no rule cares about take no detour through the rules.
    """

    def __init__(self, passage: Passage, encoding: str, ended: Ended) -> None:
        self._passage, self._ended = passage, ended
        self._reply: Reply = passage.start_reply(streamed=True)
        self._turn = HeldTurn(passage, self._reply, streamed=True) if passage.pipeline.holds_turn else None
        """The whole reply, while it waits for its end; None once it may go on."""
        self._is_other = False
        """Whether another reply went on: the rest of this one is of no use."""
        self._blind = False
        """Whether the rest of a reply that no rule wants to see could not be read along."""
        self._broken: WireError | None = None
        try:
            self._decoder = StreamDecoder(encoding) if encoding else None
        except WireError as error:
            self._decoder, self._broken = None, error  # told with the first bytes
        self._begun = False
        """Whether it was seen what the body begins with."""
        self._limit = passage.reply_limit
        self._read_bytes = 0
        self.keep_alive_seconds = passage.keep_alive_seconds
        self.verbatim = not passage.pipeline.judges_reply
        """Whether bytes pass as they came: then also in the content encoding that they came in."""

    @property
    def holding(self) -> bool:
        return self._turn is not None or self._reply.holding

    def keep_alive(self) -> bytes:
        if self._turn is None:
            return self._reply.keep_alive()
        data = self._turn.keep_alive()
        if data:
            self._passage.first_byte()
            self._passage.sent.append(data)
        return data

    def __call__(self, data: bytes) -> Output:
        passage = self._passage
        if self._is_other:
            return self._swallow(data)
        try:
            frames = self._frames(data)
        except WireError as error:
            return self._unreadable(error, data)
        passage.note(frames)
        if self._turn is not None:
            if not self._turn.take(frames):
                return ()
            return self._judged((), data)
        unseen = passage.pipeline.unseen
        if not all(unseen(frame.events) for frame in frames):
            return self._judged(frames, data)
        if self.verbatim:
            passage.first_byte()
            out: Output = data
        else:
            out = [self._emit(frame, frame.events) for frame in frames]
        self._release()
        if not data:
            self._ended(passage, None)
        return out

    def closed(self, reason: str, by_client: bool) -> None:
        """The stream is over without its own end: the client left, or the provider broke off."""
        passage = self._passage
        if passage.refused or (passage.complete and not self.holding):
            self._ended(passage, None)  # clients close as soon as they have read the closing frames
        else:
            passage.fault = passage.fault or reason
            self._ended(passage, "gone" if by_client else "cut")

    def cut(self, message: str) -> bytes:
        """The format's final error, where it is sure to follow a whole frame, and no call that is half told."""
        return self._refuse(message) if self._passage.pipeline.holds_calls and not self.verbatim else b""

    def _frames(self, data: bytes) -> Sequence[Frame]:
        self._count(len(data))
        if self._blind:
            return ()
        if self._broken:
            raise self._broken
        if self._decoder is None:
            self._check_kind(data)
            return read(self._reply, data)
        decoded = self._decoder.receive_data(data) if data else self._decoder.finish()
        self._count(max(0, len(decoded) - len(data)))
        self._check_kind(decoded)
        frames = read(self._reply, decoded) if decoded else ()
        return frames if data else [*frames, *read(self._reply, b"")]

    def _count(self, size: int) -> None:
        self._read_bytes += size
        if self._read_bytes > self._limit:
            raise _TooLong(f"the reply is larger than limits.reply_bytes, {self._limit} bytes")

    def _check_kind(self, data: bytes) -> None:
        """Raise WireError for a document in the place of a stream: its lines would pass as events that say nothing."""
        if not self._begun and (beginning := data.lstrip(_BLANKS)):
            self._begun = True
            if beginning.startswith((b"{", b"[", b"<")):
                raise WireError("it is a document, and a stream of server-sent events was due")

    def _emit(self, frame: Frame, out: Sequence[object]) -> bytes:
        data = self._reply.emit(frame, out)  # pyright: ignore[reportArgumentType]
        if data:
            self._passage.first_byte()
            self._passage.sent.append(data)
        return data

    async def _judged(self, frames: Sequence[Frame], data: bytes) -> AsyncIterator[bytes]:
        """What the rules let go on, as soon as they do."""
        passage = self._passage
        try:
            async for frame, is_last in self._due(frames):
                out = await passage.pipeline.reply(frame.events)
                if not self.verbatim:
                    sent = self._emit(frame, out)
                    if is_last:
                        self._release()
                    yield sent
        except Refused as refusal:
            passage.refused = refusal
            yield self._refuse(str(refusal))
            raise EndStream from refusal
        except Exception as error:
            log.error("exchange %s: the reply could not be checked: %s", passage.x.id, told(error))
            passage.fault = told(error)
            yield self._refuse(FAILED)
            raise EndStream from error
        if self.verbatim:
            self._release()
            yield data
        if not data:
            self._ended(passage, None)

    def _release(self) -> None:
        """With its closing frames a reply counts as given: the client may answer before the bytes are on their way."""
        if self._passage.complete and not self.holding:
            self._passage.release()

    async def _due(self, frames: Sequence[Frame]) -> AsyncIterator[tuple[Frame, bool]]:
        """The frames that the rules see next, and whether each is the last: those that came, or another reply's."""
        if self._turn is not None:
            self._reply, frames = await self._turn.release()
            self._is_other, self._turn = self._passage.set_aside is not None, None
        for frame in frames:
            yield frame, frame is frames[-1]

    def _swallow(self, data: bytes) -> Output:
        """What still comes of a reply in whose place another one went on."""
        self._count(len(data))
        if not data:
            self._ended(self._passage, None)
        return ()

    def _unreadable(self, error: WireError, data: bytes) -> Output:
        """A stream ends with its closing frames, or with an error that says why not: never with neither."""
        passage = self._passage
        passage.fault = str(error)
        if not data:
            raise error  # aborts: a client takes up a cut reply again, and does not take it for a whole one
        if self.verbatim and not isinstance(error, _TooLong):
            self._blind = True  # no rule wants to see it, so it is the client's to make sense of
            return data
        return self._last_words(f"Lockgate cannot read this reply: {error}.")

    async def _last_words(self, sentence: str) -> AsyncIterator[bytes]:
        yield self._refuse(sentence)
        raise EndStream

    def _refuse(self, sentence: str) -> bytes:
        data = self._refusal(sentence)
        self._ended(self._passage, None)
        return data

    def _refusal(self, sentence: str) -> bytes:
        data = self._reply.refuse(sentence)
        self._passage.sent.append(data)
        return data


def _same(out: bytes, came: bytes) -> bool:
    """Whether both are the same document: then the provider's own bytes go on."""
    try:
        return canonical(loads_exact(out)) == canonical(loads_exact(came))
    except WireError:
        return False


async def judge_whole(passage: Passage, encoding: str) -> None:
    """Let the rules have a reply that came whole, and put what goes on into the flow.

    Raises Refused, and WireError where the reply cannot be read.
    """
    response = passage.flow.response
    assert response
    body = decode_body(response.raw_content or b"", encoding, passage.reply_limit)
    reply = passage.start_reply(streamed=False)
    try:
        frames = [*(read(reply, body) if body else ()), *read(reply, b"")]
    except WireError:
        passage.reply, passage.unread = None, body
        raise
    passage.note(frames)
    if passage.pipeline.holds_turn:
        turn = HeldTurn(passage, reply, streamed=False)
        turn.take(frames)
        reply, frames = await turn.release()
    parts: list[bytes] = []
    for frame in frames:
        parts.append(reply.emit(frame, await passage.pipeline.reply(frame.events)))
    passage.first_byte()
    out = b"".join(parts)
    if passage.set_aside is not None or (reply.changed and not _same(out, body)):
        set_body(response, out)
    passage.release()


def is_success(response: http.Response) -> bool:
    """Whether clients read the body as a reply: every status that is no error."""
    redirects = 300 <= response.status_code < 400 and "location" in response.headers
    return response.status_code < 400 and response.status_code not in (204, 205, 304) and not redirects


def is_event_stream(response: http.Response, *, asked: bool) -> bool:
    """Whether the reply is streamed: it says so, or says nothing of what it is where a stream was asked for."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "text/event-stream" or (asked and kind in ("", "text/plain", "application/octet-stream"))
