"""What every wire format offers. A reply is read frame by frame; a frame that nobody changed goes on as it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lockgate.events import Event, Request, Usage


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of the wire that stand or fall together, and the events that they complete.

    The frames of a reply, joined, are the reply byte for byte. A tool call spread over many frames is an event of
    the last of them; the frames before it complete nothing.
    """

    raw: bytes
    events: tuple[Event, ...] = ()
    document: Any = None
    """What the codec read from the frame; the codec's own business."""


class Reply(Protocol):
    """One reply of one format, streamed or whole, on its way from the provider to the client.

    Call `receive_data` with what comes, ask the policies about the events of each frame, and give what they let go
    on to `emit`, frame by frame and in order. `emit` gives the bytes to send now; it holds back, when `hold_calls`
    was asked for, from the first frame of the first tool call to the end of the message.
    """

    holding: bool
    """Whether bytes are held back now."""
    held_bytes: int
    changed: bool
    """Whether anything sent so far differs from what came."""

    @property
    def usage(self) -> Usage | None:
        """The tokens as the provider has counted them so far."""
        ...

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        """Read bytes cut anywhere; b"" says the provider is done. Raises WireError for what cannot be read,
        and for an end without the closing frames."""
        ...

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        """The bytes that go to the client now. `out is frame.events` forwards the frame as it came."""
        ...

    def refuse(self, sentence: str) -> bytes:
        """The format's final error, which ends a reply that has begun. What was held is forgotten.
        For a whole reply: the body of an error reply."""
        ...

    def keep_alive(self) -> bytes:
        """A frame that keeps a waiting client patient, or b"" where none is legal yet."""
        ...

    def message(self) -> bytes | None:
        """The reply that came, as the JSON text that a whole reply would be; None before any of it came."""
        ...


class Format(Protocol):
    """One wire format."""

    name: str

    def read_request(self, body: bytes) -> Request:
        """Raises WireError when the body is not a request of this format."""
        ...

    def reply(self, request: Request, *, streamed: bool, hold_calls: bool) -> Reply: ...

    def error_body(self, sentence: str, *, kind: str = "invalid_request_error") -> bytes:
        """The JSON body of a refusal as the provider would word it."""
        ...

    def answer(self, request: Request, text: str) -> tuple[str, bytes]:
        """The content type and body of a complete made-up assistant reply, streamed if the request asks for it."""
        ...
