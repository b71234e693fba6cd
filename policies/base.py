"""The class every policy extends, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from lockgate.config import Section
from lockgate.errors import Error
from lockgate.events import Event, Request, TextDelta, ToolCall, Turn
from lockgate.exchange import Exchange

SEEN_BY = {
    "on_request": {"request"},
    "on_text": {"text"},
    "on_tool_call": {"call"},
    "on_event": {"text", "call", "event"},
    "on_end": {"end"},
    "on_turn": {"turn"},
}
"""What each hook is asked about; `event` is whatever is neither text nor a tool call."""

type Refusal = Literal["explain", "text", "reply", "error"]


class Blocked(Error):
    """A policy refuses what it was asked about: the request, this one tool call, or the rest of the reply.

    `sentence` is what the client is shown. `reason` is for the log and the reviewer only: telling a model why it was
    stopped teaches it to get round. `score` is how suspicious the step was, 0 to 1, where a monitor said so. `shown` is
    what the notice may repeat of a refused call, where that is not the call as it is.
    """

    def __init__(
        self, sentence: str, *, reason: str = "", score: float | None = None, shown: ToolCall | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence, self.reason, self.score, self.shown = sentence, reason, score, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one monitor said: a score and why, or, without a score, why there is none."""

    monitor: str
    policy: str
    score: float | None
    reason: str
    milliseconds: float = 0.0


class NoOptions(Section):
    """The policy takes no options."""


class Policy:
    """Decides what passes. A new instance serves each exchange, so attributes are its memory.

    Every hook gives back what goes on: the event itself forwards it, another replaces it, nothing drops it.
    A hook may await: this stream waits, others do not. Raise Blocked to refuse.
    """

    Options: ClassVar[type[Section]] = NoOptions
    """The schema of what stands under `with:` in a rule."""
    on_error: ClassVar[Literal["block", "forward"]] = "block"
    """What happens, unless the rule says otherwise, when a hook fails or its deadline passes."""
    refusal: ClassVar[Refusal | None] = None
    """The shape of its refusals, unless the rule says otherwise; None lets the call's tool decide."""

    per_tool: ClassVar[frozenset[str]] = frozenset({"call"})
    """What it still looks at, of what it `sees`, in a rule whose match names a tool."""

    def __init__(self, options: Any, shared: Any = None) -> None:
        self.options, self.shared = options, shared
        self.score: float | None = None
        """Set by a hook: how suspicious it found what it was given. It is recorded with the decision."""
        self.reason = ""
        """Set by a hook: why, for the log only."""
        self.moved = False
        """Set by a hook: what it gives back is what it was given, only later or in other pieces: nothing to record."""
        self.heard: list[Heard] = []
        """Added to by a hook: what each monitor said that it asked. It is recorded with the decision."""
        self.concerns: Callable[[str], bool] = _any_tool
        """Whether the rule's match is about calls of the tool of this name: for a hook that sees whole replies."""
        self.hear: Callable[[TextDelta, Exchange], TextDelta | Iterable[Event]] | None = None
        """Set by a policy that never waits for what a piece of text becomes: it is asked in the place of `on_event`.
        One piece may be given back as it is, outside of a tuple."""
        self.rule_name, self.is_shadow = "", False
        """The rule that it works for, and whether that only watches: then nothing may be asked of a person."""
        self.held = ""
        """Set by a hook: that it had its call wait for a person, and why. It is recorded as a decision of its own."""

    @classmethod
    def sees(cls, options: Any) -> frozenset[str]:
        """What a rule with these options looks at: by default, what its hooks are for."""
        return _seen(cls)

    @classmethod
    def provision(cls, options: Any) -> Any:
        """What all instances of one rule share, made once when the rule is loaded. Raises ConfigError."""
        return None

    def conceal(self, request: Request, x: Exchange) -> None:
        """Called before anything of the exchange is recorded: say with `x.conceal` what the log may not hold of it."""

    @classmethod
    def needed_seconds(cls, options: Any) -> float:
        """The least `deadline_seconds` that its rule must have, which is also the rule's where it names none."""
        return 0.0

    @classmethod
    def usual_seconds(cls, options: Any) -> float:
        """The `deadline_seconds` of its rule where it names none and these are more than usual."""
        return cls.needed_seconds(options)

    async def on_request(self, request: Request, x: Exchange) -> Request:
        return request

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        return (text,)

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        return (call,)

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        """Every event of the reply; what is neither text nor a tool call is forwarded."""
        match event:
            case TextDelta():
                return await self.on_text(event, x)
            case ToolCall():
                return await self.on_tool_call(event, x)
            case _:
                return (event,)

    async def on_end(self, x: Exchange) -> Iterable[Event]:
        """Called once, before the end of the message goes on: what is given back is added to the reply."""
        return ()

    async def on_turn(self, turn: Turn, x: Exchange) -> Turn:
        """The whole reply, before any of it goes on; another one may go on in its place. Who names this hook has the
        client wait for the end of every reply. What is given back passes the other hooks as any reply does."""
        return turn

    def let_go(self, event: Event) -> Iterable[Event]:
        """What goes on where a hook failed and the rule forwards: the event, after what was held back for it."""
        return (event,)


@lru_cache(maxsize=256)
def _seen(policy: type[Policy]) -> frozenset[str]:
    own = (seen for hook, seen in SEEN_BY.items() if getattr(policy, hook) is not getattr(Policy, hook))
    return frozenset[str]().union(*own)


def _any_tool(name: str) -> bool:
    return True


class Monitor(Policy):
    """Only scores how suspicious a step is, 0 to 1; it never decides."""

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        """The score of a tool call, and the reason for the log."""
        raise NotImplementedError

    async def score_text(self, text: str, x: Exchange) -> tuple[float, str]:
        """The score of a whole text of the model, and the reason for the log."""
        raise NotImplementedError(f"{type(self).__name__} has no score for a text")

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        self.score, self.reason = await self.score_call(call, x)
        return (call,)
