"""What the scripted provider says: the words of a script, and scripts for common conversations.

A script is a function from a received request to an answer. It keeps no state: what to say follows from the request,
as with a real model, so that a client's retries and side calls cannot put it out of step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.upstream.received import Received


@dataclass(frozen=True, slots=True)
class Gate:
    """Waits until the test calls `provider.open(name)`; `await provider.reached(name)` tells when it waits."""

    name: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits; for benches that pace a stream. A test uses a Gate."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Closes the connection in the midst of the body."""


@dataclass(frozen=True, slots=True)
class Reset:
    """HTTP/1: the connection is reset (TCP RST). HTTP/2: RST_STREAM with INTERNAL_ERROR."""


@dataclass(frozen=True, slots=True)
class End:
    """Ends the body cleanly for HTTP, but without the closing frames of the format."""


@dataclass(frozen=True, slots=True)
class InBandError:
    """Ends the stream with the format's own error event, after a status of 200."""

    message: str = "Overloaded"
    type: str = "overloaded_error"


@dataclass(frozen=True, slots=True)
class Raw:
    """Sends these bytes as they are, as a piece of their own."""

    data: bytes


type Step = Gate | Pause | Cut | Reset | End | InBandError | Raw
type Pieces = str | Sequence[str | Step]
"""Text: one string is cut into deltas of DELTA_CHARS; a list gives the deltas by hand, with steps between them."""

DELTA_CHARS = 12


@dataclass(frozen=True, slots=True)
class Thinking:
    text: Pieces
    signature: str = "EqQBCkYIARgCKkDsignature/of+a/thinking+block=="


@dataclass(frozen=True, slots=True)
class Text:
    text: Pieces


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `arguments` is a JSON object, or its text as it is sent; a `custom` tool's is its plain input."""

    name: str
    arguments: Mapping[str, Any] | Pieces
    id: str | None = None
    custom: bool = False
    namespace: str = ""  # of a tool that Codex declares within one


@dataclass(frozen=True, slots=True)
class ShellCall:
    """A call of whichever shell tool the client declared, in that tool's own shape."""

    command: str
    id: str | None = None


type Part = Thinking | Text | Call | ShellCall | Step


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens; `input` counts the cached ones too."""

    input: int = 25
    output: int = 12
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An assistant's message. Without `stop`, the stop reason follows from the parts, in each format's own word."""

    parts: Sequence[Part]
    stop: str | None = None
    usage: Usage = field(default_factory=Usage)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    encoding: str | None = None  # gzip, deflate, br, zstd; "auto" takes the client's first choice
    before: Sequence[Step] = ()  # steps before the headers


@dataclass(frozen=True, slots=True)
class Failure:
    """A status of failure, with a body in the format's own shape."""

    status: int = 500
    message: str = "Internal server error"
    type: str = "api_error"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    before: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Plain:
    """An HTTP response made by hand; with `length` unset its body is chunked."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Sequence[bytes | Step] = ()
    length: int | None = None
    before: Sequence[Step] = ()


type Answer = Reply | Failure | Plain
type Script = Callable[[Received], Answer]


def says(*parts: Part | str, **options: Any) -> Script:
    """Gives the same reply to everything; a bare string is Text."""
    reply = Reply([Text(part) if isinstance(part, str) else part for part in parts], **options)
    return lambda received: reply


def turns(*answers: Answer) -> Script:
    """Gives the answers in order, by the count of assistant messages in the history; the last one again at the end."""
    return lambda received: answers[min(received.turn, len(answers) - 1)]


def shell_then_done(command: str, *, before: str = "I will run it.", done: str = "done: {result}") -> Script:
    """Asks for one shell command after each prompt, and says `done` with its result quoted when it comes back."""

    def script(received: Received) -> Answer:
        if received.results:
            return Reply([Text(done.format(result=" | ".join(received.results)))])
        return Reply([Thinking("The user wants a command."), Text(before), ShellCall(command)])

    return script
