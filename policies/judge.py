"""`judge`: asks a model how suspicious a tool call or a text is, and blocks from a threshold on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import NEW_BLOCK, BlockEnd, Event, MessageEnd, TextDelta, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Monitor
from lockgate.policies.key import read_key
from lockgate.policies.model_url import check_url
from lockgate.policies.verdict import SCHEMA, Judged, JudgeFailed, Score, Verdicts, prompt, read_verdict, system
from lockgate.ports import Ask


class Options(Section):
    """Which model judges what, and from which score on it blocks."""

    url: str
    """The whole URL of the endpoint that is asked, such as https://api.anthropic.com/v1/messages."""
    format: Literal["anthropic", "openai"] = "anthropic"
    """Its wire format: Anthropic Messages or OpenAI Chat Completions."""
    model: str = Field(min_length=1)
    """The model that judges."""
    key_env: str = ""
    """The environment variable that holds the key."""
    key_file: Path | None = None
    """Or the file that holds it."""
    asks: Literal["calls", "text"] = "calls"
    """Asks about each tool call, or about each text when it is complete; until then the text is held back."""
    threshold: float | None = Field(default=0.7, ge=0, le=1)
    """Blocks from this score on: 0 is harmless, 1 is surely harmful. `null` never blocks: the score is recorded."""
    sentence: str = "This was stopped by a review."
    """What the client is told; the judge's reason is in the log only."""
    instructions: str = Field(default="", max_length=20_000)
    """What else the judge is to look at."""
    context_messages: int = Field(default=4, ge=0, le=100)
    """How many of the last texts of the request the judge is shown."""
    context_chars: int = Field(default=2_000, gt=0, le=100_000)
    """No more than this of each of them."""
    max_argument_chars: int = Field(default=50_000, gt=0, le=1_000_000)
    """A longer call or text is not judged: the rule's `on_error` decides."""
    timeout_seconds: float = Field(default=20.0, gt=0, le=600)
    """For one attempt; the rule's `deadline_seconds` bounds all of them."""
    retries: int = Field(default=1, ge=0, le=5)
    """Further attempts where the model server fails, is busy or answers too late."""
    max_tokens: int = Field(default=512, gt=0, le=32_000)
    """The longest verdict."""
    cache_size: int = Field(default=1_000, ge=0, le=100_000)
    """How many verdicts are remembered."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Options:
        check_url(self.url, self.format)
        if self.key_env and self.key_file:
            raise ValueError("the key is named by 'key_env' or by 'key_file', not by both")
        return self


class Shared:
    """What all exchanges of one rule share: the key and the verdicts."""

    def __init__(self, key: str, verdicts: Verdicts) -> None:
        self.key, self.verdicts = key, verdicts


class Judge(Monitor):
    """Asks a model how suspicious each tool call, or each whole text, is; blocks from a threshold on.

    The judge's reason is recorded and never shown to the client or the model. Where there is no verdict in time, the
    rule's `on_error` decides.

    Example:
        url: https://api.anthropic.com/v1/messages
        model: claude-haiku-4-5
        key_file: judge.key
        threshold: 0.7
    """

    Options = Options

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self.moved = False
        """Whether the last hook gave back what it was given, only later: nothing to record."""
        self._held: dict[int, list[TextDelta]] = {}
        """The deltas of each text that is not complete yet."""

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        """What a rule with these options looks at."""
        return frozenset({"call"} if options.asks == "calls" else {"text", "event"})

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(read_key(options.key_env, options.key_file), Verdicts(options.cache_size))

    @classmethod
    def usual_seconds(cls, options: Options) -> float:
        """One attempt, and a little more."""
        return options.timeout_seconds + 5

    async def verdict(self, judged: Judged, x: Exchange) -> Score:
        """The score of anything else, for a policy that has a judge. Raises JudgeFailed."""
        return await self._score(judged, x)

    async def score_call(self, call: ToolCall, x: Exchange) -> Score:
        return await self._score(Judged(kind="tool call", name=call.name, content=call.arguments), x)

    async def score_text(self, text: str, x: Exchange) -> Score:
        return await self._score(Judged(kind="text", name="", content=text), x)

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if self.options.asks != "calls":
            return (call,)
        out = await super().on_tool_call(call, x)
        self._decide()
        return out

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        if self.options.asks != "text" or text.block == NEW_BLOCK:
            return (text,)
        self._held.setdefault(text.block, []).append(text)
        self.moved = True
        return ()

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        self.moved = False
        match event:
            case BlockEnd(block=block):
                return (*await self._judge_text(block, x), event)
            case MessageEnd():
                return (*await self.on_end(x), event)
            case _:
                return await super().on_event(event, x)

    async def on_end(self, x: Exchange) -> Iterable[Event]:
        return [delta for block in list(self._held) for delta in await self._judge_text(block, x)]

    def let_go(self, event: Event) -> Iterable[Event]:
        """What was held back goes on unjudged, where the rule says so for a judge that failed."""
        blocks = [event.block] if isinstance(event, BlockEnd) else list(self._held)
        held = [delta for block in blocks for delta in self._held.pop(block, [])]
        return (*held, event)

    async def _judge_text(self, block: int, x: Exchange) -> Iterable[Event]:
        deltas = self._held.get(block, [])
        text = "".join(delta.text for delta in deltas)
        if text:
            self.score, self.reason = await self.score_text(text, x)
            self._decide()
        self._held.pop(block, None)
        return deltas

    def _decide(self) -> None:
        threshold: float | None = self.options.threshold
        if threshold is not None and self.score is not None and self.score >= threshold:
            raise Blocked(self.options.sentence, reason=self.reason, score=self.score)

    async def _score(self, judged: Judged, x: Exchange) -> Score:
        """The score, from memory where the same was asked before. Raises JudgeFailed."""
        options: Options = self.options
        if len(judged.content) > options.max_argument_chars:
            raise JudgeFailed(
                f"the {judged.kind} is longer than `max_argument_chars`: {len(judged.content)} characters"
            )
        context = context_of(options, x)
        key = judged.key(context, options.model_dump_json())
        return await self.shared.verdicts.get(key, lambda: self._ask(judged, context, x))

    async def _ask(
        self, judged: Judged, context: Iterable[tuple[str, str]], x: Exchange, trigger: str = "judge"
    ) -> Score:
        options: Options = self.options
        answer = await x.ports.models.ask(
            Ask(
                url=options.url,
                format=options.format,
                model=options.model,
                system=system(options.instructions),
                prompt=prompt(judged, context),
                key=self.shared.key,
                max_tokens=options.max_tokens,
                timeout_seconds=options.timeout_seconds,
                retries=options.retries,
                schema=SCHEMA,
                trigger=trigger,
            ),
            x,
        )
        return read_verdict(answer)


class HasContext(Protocol):
    """Options that say how much of a conversation is shown."""

    @property
    def context_messages(self) -> int: ...
    @property
    def context_chars(self) -> int: ...


def context_of(options: HasContext, x: Exchange) -> list[tuple[str, str]]:
    """The last texts of the conversation, oldest first: who said it, and its beginning."""
    if not options.context_messages:
        return []
    said = [spot for spot in x.request.texts() if spot.role not in ("system", "definition")]
    last = islice(said, max(0, len(said) - options.context_messages), None)
    return [(spot.role, _bounded(spot.text, options.context_chars)) for spot in last]


def _bounded(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"
