"""`taint`: results of tools that nobody vouches for mark the session, and what is told by them goes no further."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, Request, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.arguments import strings_of
from lockgate.policies.asking import ask_person
from lockgate.policies.asking_options import Asking, webhook_of
from lockgate.policies.base import Blocked, Monitor
from lockgate.policies.commands import command_of, document_of
from lockgate.policies.danger.hosts import local
from lockgate.policies.danger.rules import PACKS
from lockgate.policies.flows.conditions import Condition, Labels, Seen
from lockgate.policies.flows.deeds import Acts
from lockgate.policies.flows.labels import Label, labels_of
from lockgate.policies.flows.language import Measure
from lockgate.policies.flows.origins import Marking, Origin, Origins
from lockgate.policies.flows.provenance import Span
from lockgate.policies.flows.sessions import Session, Traces, Unread, working
from lockgate.policies.flows.trace import Step
from lockgate.policies.shell.model import Command
from lockgate.ports import Webhook

SENTENCE = "What this would do was told by a tool's result that nobody here vouches for. Ask the person you work for."
LEAVES = "This would send away what a secret place or a database gave. Ask the person you work for."
LONG = 50_000
MAX_ADDRESS = 60
ORDERS = 0.2
"""A result that tries to instruct the model less gives no orders."""
CONFIDENTIAL: frozenset[Label] = frozenset({"secret", "data"})
_FREE_TEXT = frozenset({
    *("body", "text", "content", "message", "description", "title", "subject", "prompt", "comment", "markdown"),
    *("blocks", "query", "html", "caption", "notes", "reason", "summary"),
})  # fmt: skip
"""Arguments that people read: what stands there decides nothing."""
_SHOWN = 60
_MESSAGES = ("--message", "--body", "-b", "--title", "-t", "--notes", "-n")


class Options(Section):
    """What marks a session, and which calls are sensitive then."""

    sources: Labels = Field(default_factory=lambda: list[Label](("web", "mcp", "download", "unknown")))
    """Results that mark a session: what was fetched from the web or by a command, tools of servers, files outside the
    workspace, and results whose calls nobody remembers."""
    untrusted: list[Condition] = Field(default_factory=list[Condition])
    """Further calls whose results mark a session."""
    trusted: list[Condition] = Field(default_factory=list[Condition])
    """Calls whose results mark nothing, whatever else is said."""
    sensitive: list[Condition] = Field(
        default_factory=lambda: [
            Condition(
                does=["sends", "pushes", "publishes", "serves", "persists", "changes-agent", "changes-pipeline",
                      "installs-foreign", "reads-secret", "looks-for-secrets", "deletes", "hides-tracks",
                      "changes-service"]
            ),
            Condition(danger=list(PACKS)),
        ]
    )  # fmt: skip
    """Calls that a marked session may not make; any of these conditions."""
    require: Literal["provenance", "session"] = "provenance"
    """`provenance`: only calls whose command or target came from a marked result. `session`: all sensitive calls."""
    min_chars: int = Field(default=20, ge=8, le=1_000)
    """So many characters in a row, white space aside, have to be the same."""
    instructions: float = Field(default=0.5, ge=0, le=1.01)
    """A marked result that tries to instruct the model this much, as `injection_scan` scores it, makes all sensitive
    calls count; above 1 none does."""
    lasts: int = Field(default=0, ge=0)
    """For so many calls a mark lasts that is not by provenance; 0 is for good."""
    confidential: bool = True
    """Whether what secret places and databases gave is followed as well: it may not be in what reaches the outside, nor
    encoded."""
    do: Measure = "deny"
    """`deny` refuses the call, `approve` has it wait for a person, `flag` lets it pass and records
    score and reason, `score` the score alone."""
    approval: Asking = Asking()
    """How a person is asked, where `do` is `approve`."""
    workspace: str = ""
    """The absolute path of the project. Without it, the folder that a command starts in counts as the project."""

    @model_validator(mode="after")
    def _applies(self) -> Options:
        if not self.sensitive and not self.confidential:
            raise ValueError("no call is sensitive and nothing is confidential, so that this can never stop anything")
        for condition in (*self.sensitive, *self.untrusted, *self.trusted):
            if condition.empty:
                raise ValueError("a condition says nothing about a call; give it 'tool', 'does' or another condition")
        if any(condition.result for condition in self.sensitive):
            raise ValueError("a sensitive call is decided before it has a 'result', so that this can never match")
        return self


class Taint(Monitor):
    """Marks a session by results that nobody vouches for, and stops sensitive calls that came from them.

    It says which earlier result the call's text came from: the longest stretch of characters that both have, unless the
    user said it or it was there before. A result that gives orders to the model makes every sensitive call count. What
    came from secret places and databases is followed too, plain or encoded, into calls that reach the outside. A long
    history that is new here is read within bounds, the latest results first; where an older one could still count, a
    sensitive call cannot be checked, and `on_error` decides.

    Example:
        require: provenance
        trusted:
          - {tool: "mcp__company__*"}
          - {host: docs.python.org}
    """

    Options = Options
    per_tool = frozenset({"call", "request"})

    def __init__(self, options: Options, shared: tuple[Traces[Origins], Webhook | None]) -> None:
        super().__init__(options, shared[0])
        self.webhook = shared[1]
        self._session: Session[Origins] | None = None

    @classmethod
    def provision(cls, options: Options) -> Any:
        traces = Traces(lambda: Origins(_marking(options), options.confidential), options.workspace)
        return traces, webhook_of(options.approval)

    @classmethod
    def needed_seconds(cls, options: Options) -> float:
        """A person's time, where one may be asked."""
        return options.approval.needed_seconds if options.do == "approve" else 0.0

    async def on_request(self, request: Request, x: Exchange) -> Request:
        session = self._session = await self.shared.session(x)
        if news := session.take_news():
            self.score, self.reason = 0.0, news
        return request

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        """The score of a call that came from a marked result. Raises Unreadable."""
        score, why, _ = await self._judged(call, x)
        return score, why

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        score, why, sentence = await self._judged(call, x)
        if not score:
            return (call,)
        self.score = score
        if self.options.do == "deny":
            raise Blocked(sentence, reason=why, score=score)
        if self.options.do != "score":
            self.reason = why
        if self.options.do == "approve":
            return (await ask_person(self, self.options.approval, self.webhook, call, x),)
        return (call,)

    async def _judged(self, call: ToolCall, x: Exchange) -> tuple[float, str, str]:
        """The score, the reason for the log, and the sentence for the client."""
        acts = self.shared.acts(call)
        session = self._session = self._session or await self.shared.session(x)
        marks: Origins = working(session, x)
        self.shared.let_go(session, call, acts, x)
        if len(call.arguments) + marks.unseen > LONG:
            return await asyncio.to_thread(self._verdict, marks, call, acts, x)
        return self._verdict(marks, call, acts, x)

    def _verdict(self, marks: Origins, call: ToolCall, acts: Acts, x: Exchange) -> tuple[float, str, str]:
        options: Options = self.options
        seen = Seen(acts=acts, labels=frozenset(label for one in marks.results for label in one.labels))
        if options.confidential and _leaves(acts):
            found = marks.source_of(acts.texts, CONFIDENTIAL, options.min_chars - 4, _trusted(x), decode=True)
            if found:
                return 0.9, told(*found, secret=True), LEAVES
        sensitive = any(condition.fits(seen) for condition in options.sensitive)
        if not sensitive and not (options.confidential and _leaves(acts) and marks.unread):
            return 0.0, "", ""
        if sensitive and (origin := self._instructing(marks)) is not None:
            return 0.8, f"marked by {named(origin)}", SENTENCE
        if sensitive and options.require == "provenance":
            targets = _targets(call, acts)
            found = marks.source_of(targets, self._untrusted(), options.min_chars, _trusted(x))
            if found and not _is_reply(*found):
                return 0.8, told(*found), SENTENCE
        if marks.unread:
            raise Unread("results of this session that were not read may have told what this call does")
        return 0.0, "", ""

    def _untrusted(self) -> frozenset[Label]:
        return frozenset((*self.options.sources, "untrusted"))

    def _instructing(self, marks: Origins) -> Origin | None:
        """The latest result that makes every sensitive call count."""
        options: Options = self.options
        for origin in reversed(marks.results):
            if options.lasts and marks.count - origin.index > options.lasts:
                return None
            marked = bool(origin.labels & self._untrusted())
            if (marked and options.require == "session") or origin.instructs >= options.instructions:
                return origin
        return None


def _marking(options: Options) -> Marking:
    """What the options say of a result: the labels that matter."""
    sources = frozenset[Label]((*options.sources, *(CONFIDENTIAL if options.confidential else ())))

    def marks(step: Step) -> frozenset[Label]:
        seen = Seen(acts=step.acts, result=step.result)
        labels = frozenset[Label](label for label in labels_of(step.acts) if label in sources)
        if any(condition.fits(seen) for condition in options.trusted):
            return labels & CONFIDENTIAL
        if any(condition.fits(seen) for condition in options.untrusted):
            return frozenset[Label]((*labels, "untrusted"))
        return labels

    return marks


def _trusted(x: Exchange) -> Iterable[str]:
    """What the user and the system say."""
    return (spot.text for spot in x.request.texts() if spot.role in ("user", "system"))


def _leaves(acts: Acts) -> bool:
    """Whether the call reaches beyond this machine and its own network."""
    away = {"sends", "pushes", "publishes", "serves", "fetches"}
    return not acts.does.isdisjoint(away) or any(not local(reach.host) for reach in acts.reaches)


def _targets(call: ToolCall, acts: Acts) -> Sequence[str]:
    """The texts that decide what the call does, and to whom."""
    if acts.commands:
        return [_without_messages(command_of(call) or "", acts.commands)]
    if call.custom or acts.does & {"persists", "changes-agent", "changes-pipeline"}:
        return acts.texts
    named = document_of(call).items()
    return [text for key, value in named if key.lower() not in _FREE_TEXT for text in strings_of(value)]


def _without_messages(text: str, commands: Sequence[Command]) -> str:
    """The command without what it says to people."""
    for command in commands:
        if command.name in ("git", "gh", "glab", "hg"):
            for option, message in pairwise(command.args):
                if option in _MESSAGES or option.endswith("m"):
                    text = text.replace(message, "\0")
    return text


def _is_reply(origin: Origin, span: Span) -> bool:
    """Whether only an address came from a result that gives no orders: people answer those who wrote to them."""
    return "@" in span.text and "/" not in span.text and len(span.text) < MAX_ADDRESS and origin.instructs < ORDERS


def named(origin: Origin) -> str:
    """The result for the reviewer."""
    tries = f", which tries to instruct the model ({origin.instructs:.2f})" if origin.instructs >= 0.5 else ""
    labels = ", ".join(sorted(origin.labels)) or "no label"
    return f"the result of {origin.tool or 'a call'} {origin.call_id} in message {origin.message} ({labels}){tries}"


def told(origin: Origin, span: Span, *, secret: bool = False) -> str:
    """Where the call's text came from; what is secret is not repeated."""
    shown = "" if secret else f": {span.text[:_SHOWN]!r}"
    end = span.start + len(span.text)
    return f"characters {span.start} to {end} of {named(origin)} stand in this call{shown}"
