"""The base of rules that find stretches of text and put placeholders in their place, in requests and in replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, Path, Request, Role, TextDelta, ToolCall, text_delta
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked
from lockgate.policies.json_strings import changed_keys, changed_strings, is_json, keys_in, shortened
from lockgate.policies.option_types import doing
from lockgate.policies.patterns import Re2, finds
from lockgate.policies.said import Said, inputs_in, said_in
from lockgate.policies.seen import Clean, digest
from lockgate.policies.spans import Detector, Span, SpanWindow, again, replaced
from lockgate.policies.window import TextWindow
from lockgate.wire import document as json_document

type Act = Literal["redact", "block", "alert", "off"]


class Options(Section):
    """Where to look, and what to do with what is found."""

    requests: Act = "redact"
    """What happens to a find in what is sent to the model, results of tools among it: it is replaced by a placeholder,
    the request is blocked, or it is only recorded."""
    text: Act = "redact"
    """What happens to a find in the model's text."""
    arguments: Act = "redact"
    """What happens to a find in the arguments of the model's tool calls."""
    roles: list[Role] = Field(default=["system", "user", "assistant", "tool", "definition"], min_length=1)
    """In requests: whose texts to look at. `tool` are results of tools, `definition` the descriptions of tools."""
    allow: list[Re2] = Field(default_factory=list[Re2])
    """Patterns of what may pass: a find in which one is found stays."""
    remember: int = Field(default=20_000, ge=0)
    """How many texts that were found clean to remember, as conversations are sent again with every turn."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, "requests", "text", "arguments", off=("off",))


NEAR_CHARS = 2_000
"""So much of each string counts for what stands beside it in a JSON text; all of it was looked at by itself."""
_OPTIONS = {"request": "requests", "text": "text", "call": "arguments"}


class Redactor(TextWindow):
    """A subclass says in `look` what looks for finds, and in `placeholder` what stands instead of one."""

    Options = Options
    sentence = "There is something ({kinds}) in this {where} that may not pass."
    """What the client is told where a find blocks."""
    conceals = True
    """Whether the log may not hold what was found."""

    @classmethod
    def sees(cls, options: Any) -> frozenset[str]:
        seen = {"request": options.requests, "call": options.arguments, "text": options.text, "event": options.text}
        return frozenset(name for name, act in seen.items() if act != "off")

    def __init__(self, options: Any, shared: Any) -> None:
        super().__init__(options, shared)
        self._act: Act = "redact"
        self._where = ""
        self._kinds: dict[str, None] = {}
        self._looked: tuple[Request, dict[Path, Any], dict[str, None]] | None = None
        self._x: Exchange | None = None
        self._detector: Detector | None = None
        self._salt = b""
        if type(self).on_event is Redactor.on_event:
            self.hear = self._hear

    def look(self, x: Exchange) -> tuple[Detector, bytes]:
        """What looks for finds in this exchange, and what names it, besides the rule's options, in 16 bytes at most."""
        raise NotImplementedError

    def placeholder(self, kind: str, found: str) -> str:
        """What stands instead of a find."""
        raise NotImplementedError

    def clean(self) -> Clean:
        """Which texts all exchanges of the rule found clean."""
        raise NotImplementedError

    def act(self, where: str) -> Act:
        """What is done with a find there: in a request, the text or the arguments of a call."""
        return getattr(self.options, _OPTIONS[where])

    def new_window(self) -> SpanWindow:
        assert self._detector
        return SpanWindow(self._detector, self._instead)

    def conceal(self, request: Request, x: Exchange) -> None:
        if self.conceals:
            self._look_through(request, x)

    async def on_request(self, request: Request, x: Exchange) -> Request:
        if self._looked is None or self._looked[0] is not request:
            self._look_through(request, x)
        assert self._looked
        _, values, kinds = self._looked
        self._kinds = {**kinds}
        self._act, self._where = self.act("request"), "request"
        self._conclude()
        return request.with_values(values) if values else request

    def _look_through(self, request: Request, x: Exchange) -> None:
        self._begin(x, "request")
        values: dict[Path, Any] = {}
        for said in said_in(request):
            if said.role in self.options.roles and (out := self._new_text(said)) is not None:
                values[said.path] = out
        if "assistant" in self.options.roles:
            values |= self._new_keys(request, values)
        self._looked = (request, values, {**self._kinds})

    def _new_keys(self, request: Request, values: Mapping[Path, Any]) -> Mapping[Path, Any]:
        """The arguments of calls in which a key was found, with these values and other keys."""
        keyed = [path for path, arguments in inputs_in(request) if any(map(self._is_found, set(keys_in(arguments))))]
        if not keyed:
            return {}
        document = request.with_values(values).document
        return {path: changed_keys(_at(document, path), self._redacted) for path in keyed}

    def _is_found(self, key: str) -> bool:
        return self._new_text(Said((), "assistant", key)) is not None

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        if isinstance(event, TextDelta):
            out = self._hear(event, x)
            return (out,) if isinstance(out, TextDelta) else out
        self._begin(x, "text")
        out = await super().on_event(event, x)
        self._conclude()
        return out

    def _hear(self, text: TextDelta, x: Exchange) -> TextDelta | tuple[()]:
        if self._kinds or self._where != "text":
            self._begin(x, "text")
        if (window := self._windows.get(text.block)) is None:
            out = self.take(text)
        else:  # nearly always: what `take` does
            finds, said = window.finds, window.receive_text(text.text)
            self.moved = window.finds == finds
            out = text if said == text.text else text_delta(text.block, said) if said else ()
        if self._kinds:
            self._conclude()
        return out

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if self.act("call") == "off":
            return (call,)
        self._begin(x, "call")
        text = self._redacted(call.arguments) if call.custom else self._new_arguments(call.arguments)
        out = call if text == call.arguments else replace(call, arguments=text)
        self._conclude(out)
        return (out,)

    def _begin(self, x: Exchange, where: str) -> None:
        if self._detector is None:
            self._x = x
            self._detector, self._salt = self.look(x)
        self._act, self._where = self.act(where), where
        self._kinds = {}

    def _conclude(self, shown: ToolCall | None = None) -> None:
        """Record what was found; raises Blocked where that is what is done about it."""
        if not self._kinds:
            return
        kinds = ", ".join(self._kinds)
        self.score, self.reason = 1.0, f"found in the {self._where}: {kinds}"
        self.moved = self._act == "alert"
        if self._act == "block":
            sentence = self.sentence.format(kinds=kinds, where=self._where)
            raise Blocked(sentence, reason=self.reason, score=1.0, shown=shown)

    def _new_text(self, said: Said) -> str | None:
        """What stands instead; None where the text stays. A clean text is remembered, as it will come again."""
        key = digest(f"{said.name}\0{said.text}", self._salt)
        if self.clean().has(key):
            return None
        found, self._kinds = self._kinds, {}
        out = self._new_arguments(said.text) if said.is_json else self._redacted(said.text, said.name)
        if not self._kinds and out == said.text:
            self.clean().add(key)
        self._kinds = found | self._kinds
        return out if out != said.text else None

    def _new_arguments(self, text: str) -> str:
        """JSON text: each string as it reads, then the whole, where names stand beside values."""
        assert self._detector
        text = changed_strings(text, self._redacted)
        near = shortened(text, NEAR_CHARS) if len(text) > NEAR_CHARS else text
        if not self._detector.whole(near):
            return text
        out = self._redacted(text)
        return out if out == text or is_json(out) or not is_json(text) else self._by_keys(text)

    def _by_keys(self, text: str) -> str:
        """The JSON text where only its keys can be changed: several may become the same."""
        document = json_document.loads_exact(text)
        changed = changed_keys(document, self._redacted)
        return text if changed == document else json_document.dumps(changed).decode("utf-8", "surrogatepass")

    def _redacted(self, text: str, name: str = "") -> str:
        assert self._detector
        lead = f'"{name}": "' if name else ""
        text = lead + text
        found = (span for span in self._detector.whole(text) if span.end > len(lead))
        spans = [Span(max(span.start, len(lead)), span.end, span.kind) for span in found]
        return replaced(text, len(lead), len(text), again(text, len(lead), len(text), spans, {}), self._instead)

    def _instead(self, kind: str, found: str) -> str:
        if any(finds(pattern, found) for pattern in self.options.allow):
            return found
        self._kinds[kind] = None
        instead = self.placeholder(kind, found)
        if self._x is not None and self.conceals:
            self._x.conceal(found, instead)
        return found if self._act == "alert" else instead


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document
