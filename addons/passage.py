"""One exchange on its way: its request through the rules, its reply through the rules, and how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

from mitmproxy import http

from lockgate.access.charges import Stay
from lockgate.access.estimate import text_tokens
from lockgate.activity import Growth
from lockgate.addons.bodies import set_body
from lockgate.addons.door import Guest
from lockgate.addons.held import leave
from lockgate.addons.record import Recorder, client_of
from lockgate.addons.view import remember, show
from lockgate.config import Limits
from lockgate.errors import AccessError, WireError, told
from lockgate.events import MessageEnd, ReplyError, TextDelta, ThinkingDelta, ToolCall, Usage
from lockgate.exchange import Exchange
from lockgate.frames.kept import Kept
from lockgate.history.history import History, Standing
from lockgate.policies.base import Blocked
from lockgate.policies.model_guard import with_model
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.records import Decision, ExchangeRow, Outcome, Record, SessionRow
from lockgate.redaction import concealed
from lockgate.wire.codec import Frame, Reply
from lockgate.wire.document import dumps
from lockgate.wire.encoding import decode_body
from lockgate.wire.endpoints import Endpoint

log = logging.getLogger(__name__)

type Finished = Callable[[ExchangeRow, Exchange], None]
"""Told when an exchange has ended, after its last record was put."""

BUDGET = "x-lockgate-budget"
"""The header of a reply that warns of a budget near its end."""
TOLD_CHARACTERS = 6
"""So much of a secret is already too much in a session's title, which may be cut in the midst of it."""


class Passage:
    """What is known of one exchange while it lasts. It ends once, whichever way it ends."""

    reply: Reply | None = None
    set_aside: Reply | None = None
    """The reply that came, where a rule let another one go on."""
    guest: Guest | None = None
    """Who asks, where a token was shown."""
    stay: Stay | None = None
    """What it has taken of limits and budgets, where there are any."""
    refused: Refused | None = None
    """The rule's refusal that ended it before or in the reply."""
    kept: Kept | None = None
    """The frames of its reply, where the log keeps them."""
    fault = ""
    is_sent = False
    """Whether the provider has been asked, or is about to be."""
    complete = False
    """Whether the reply's closing frames came."""
    unread: bytes | None = None
    """The body of a reply that is no message: an error of the provider's, or one that could not be read."""
    _stop_reason = ""
    _tool_calls = 0
    _is_released = False
    _ended = False
    _stopped: asyncio.Future[None] | None = None
    """Set while something is waited for that a stop need not wait for."""

    def __init__(
        self,
        flow: http.HTTPFlow,
        x: Exchange,
        endpoint: Endpoint,
        pipeline: Pipeline,
        limits: Limits,
        history: History,
        standing: Standing | None = None,
    ) -> None:
        self.reply_limit, self.keep_alive_seconds = limits.reply_bytes, limits.keep_alive_seconds
        self.flow, self.x, self.format, self.pipeline = flow, x, endpoint.format, pipeline
        self.converses, self.compacts = endpoint.converses, endpoint.compacts
        self.original = x.request
        self.sent: list[bytes] = []
        """What the client was sent, kept where a rule could change it."""
        self._history, self._standing = history, standing
        self._recorder = Recorder(flow, x.ports.log, x.id, x.session_id, x.host)
        self._first_byte: float | None = None  # with the next, not above: each event reads or writes them
        self._said_characters = 0
        """Of the reply; they may have to stand for its tokens."""
        self._began = perf_counter()
        remember(flow, x)

    def begin(self) -> None:
        """Tell the log that an exchange was let in, with its request as the client sent it."""
        content = self._concealed(self.original.raw) if self.pipeline.conceal(self.original) else None
        request = self._recorder.request(self.x.request_comm_id, content, to=self.x.host)
        standing = self._standing
        began = [self._titled(one, content is not None) for one in standing.records] if standing else ()
        continued = self._recorder.continued(standing.continues) if standing and standing.continues else ()
        self.x.ports.log.put((self._row("open"), *began, *request, *continued))

    async def judge_request(self) -> None:
        """Let the rules have the request, and put what goes to the provider into the flow. Raises Refused."""
        self.x.request = await self.pipeline.request(self.x.request)
        if self.x.request is self.original:
            return
        body = dumps(self.x.request.document)
        set_body(self.flow.request, body)
        self.x.ports.log.put(self._recorder.changed_request(self._concealed(body)))

    def take(self, stay: Stay | None) -> None:
        """Hold it to limits and budgets. Raises AccessError where another model is to be asked, and cannot be."""
        self.stay = stay
        if stay and stay.reply_bytes is not None:
            self.reply_limit = min(self.reply_limit, stay.reply_bytes)
        if stay and stay.map_to:
            self._map(stay)

    def _map(self, stay: Stay) -> None:
        x = self.x
        try:
            x.request = with_model(self.original, stay.map_to)
        except Blocked as error:
            raise AccessError(f"{stay.why}, and {error}") from error
        x.decisions.append(
            Decision(
                exchange_id=x.id, rule="access", policy="access", policy_set=x.policy_set, mode="enforce",
                subject="request", action="replaced", out=dumps({"model": stay.map_to}), reason=stay.why,
            )
        )  # fmt: skip

    def stop(self, refusal: Refused, reason: str) -> bool:
        """Refuse it from outside, however far it is; False where it is over, or was refused before."""
        if self._ended or self.refused or self._is_released or (self.fault and not self.is_sent):
            return False
        self.refused = refusal
        self.x.decisions.append(
            Decision(
                exchange_id=self.x.id, rule=refusal.rule, policy=refusal.rule, policy_set=self.x.policy_set,
                mode="enforce", subject="reply" if self.is_sent else "request", action="blocked", reason=reason,
            )
        )  # fmt: skip
        if self._stopped and not self._stopped.done():
            self._stopped.set_result(None)
        return True

    async def unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, and leave it where it is once a stop comes: raises Refused then, without waiting."""
        loop = asyncio.get_running_loop()
        task = asyncio.Task(work, loop=loop, eager_start=True)
        if not task.done():
            self._stopped = loop.create_future()
            try:
                await asyncio.wait((task, self._stopped), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._stopped = None
                leave(task, "stopped")
        if self.refused:
            raise self.refused
        await task

    def answered(self, response: http.Response, is_success: bool) -> None:
        """The provider has answered."""
        if self.stay:
            self.stay.answered = is_success
            if self.stay.warning:
                response.headers[BUDGET] = self.stay.warning

    def start_reply(self, *, streamed: bool) -> Reply:
        self.reply = self.format.reply(self.x.request, streamed=streamed, hold_calls=self.pipeline.holds_calls)
        return self.reply

    def replace_reply(self, *, streamed: bool) -> Reply:
        """Another reply goes on in place of the one that came: what the row says is now said of that one."""
        self.set_aside = self.set_aside or self.reply
        self._tool_calls, self._stop_reason = 0, ""
        return self.start_reply(streamed=streamed)

    def note(self, frames: Sequence[Frame]) -> None:
        """Keep what the row says of the reply that came."""
        for frame in frames:
            for event in frame.events:
                match event:
                    case ToolCall():
                        self._tool_calls += 1
                        self._said_characters += len(event.arguments)
                    case TextDelta() | ThinkingDelta():
                        self._said_characters += len(event.text)
                    case MessageEnd():
                        self.complete = True
                        self._stop_reason = event.stop_reason
                    case ReplyError():
                        self.complete = True
                        self.fault = f"{event.kind}: {event.message}"
                    case _:
                        pass

    @property
    def growth(self) -> Growth:
        """How far it is."""
        held = self.flow.response is not None and getattr(self.flow.response.stream, "holding", False)
        return Growth(
            exchange_id=self.x.id, characters=self._said_characters, tool_calls=self._tool_calls, held=bool(held)
        )

    def take_error(self) -> None:
        """The provider answered with no reply, such as an error: it passes as it came."""
        response = self.flow.response
        assert response
        if response.status_code >= 400:
            self.fault = f"HTTP {response.status_code}"
        body = response.raw_content or b""
        try:
            self.unread = decode_body(body, response.headers.get("content-encoding", ""), self.reply_limit)
        except WireError:
            self.unread = body

    def first_byte(self) -> None:
        """The reply's first byte goes to the client now."""
        if self._first_byte is None:
            self._first_byte = perf_counter()

    def release(self, answer: bytes | None = None, *, document: bytes | None = None) -> None:
        """What the client has been given, or is given now, is what its next request is compared with.

        `answer` is a rule's own, as it is sent; `document` a reply that no rule saw. Only the first call counts; it
        comes before the last bytes leave.
        """
        if self._is_released:
            return
        self._is_released = True
        if self._standing is None:
            return
        try:
            given = document or (self._given() if answer is None else self._read(answer, streamed=self.original.stream))
            complete = bool(answer or document) or (self.complete and not (self.refused or self.fault))
            rows = self._history.release(
                self._standing, given or b"", comm_id=self._recorder.given_id, complete=complete,
                veto=answer is not None or self._blocked,
            )  # fmt: skip
        except Exception as error:  # the client has its reply; that it is not known is told by the next request
            log.error("exchange %s: what was released cannot be kept in mind: %s", self.x.id, told(error))
        else:
            self.x.ports.log.put(rows)

    def _given(self) -> bytes | None:
        """The reply, as far as the client was sent it."""
        if self.reply is None:
            return None
        if self._changed or (self.pipeline.judges_reply and not self.complete):
            return self._final()
        return self.reply.message()

    async def end(self, outcome: Outcome | None, finished: Finished) -> None:
        """Tell the log how it ended, after the shadow rules had their say. Only the first call counts."""
        if self._ended:
            return
        self._ended = True
        seconds = perf_counter() - self._began
        replies: Sequence[Record] = ()
        self.release()
        if self._standing:
            self._history.ended(self._standing)
        try:
            await self.pipeline.close()
            replies = self._replies(is_cut=outcome in ("gone", "cut"))
            if self.kept:
                replies = (*replies, *await self.kept.rows(self.x, self._began, changed=self._changed))
        except Exception as error:  # a row must not stay open for what went wrong in telling more
            log.error("exchange %s: what passed cannot be told: %s", self.x.id, told(error))
            self.fault = self.fault or told(error)
        row = self._row(outcome or self._outcome(), seconds)
        self.x.ports.log.put((row, *replies, *map(self._without_secrets, self.x.decisions)))
        show(self.flow, row, self.x.decisions)
        finished(row, self.x)

    def taken(self, stay: Stay, outcome: Outcome | None) -> Usage:
        """The tokens that it took: those that the provider counted, else about what was seen of them."""
        reply = self.set_aside or self.reply
        if reply is None:
            begun = stay.answered or (outcome == "gone" and self.is_sent)
            return Usage(input_tokens=stay.input_tokens if begun else 0)
        if self.complete and reply.usage:
            return reply.usage
        counted = reply.usage or Usage(input_tokens=stay.input_tokens)
        return replace(counted, output_tokens=max(counted.output_tokens, text_tokens(self._said_characters)))

    def _replies(self, *, is_cut: bool) -> Sequence[Record]:
        """What came, and what the client got of it: also where it ended while a call was held."""
        if self.flow.response is None:
            return ()
        if self.reply is None and self.refused:
            return self._recorder.refusal(self._concealed(self.flow.response.raw_content or b""))
        first = self.set_aside or self.reply
        came = (first.message() if first else None) or self.unread
        final = self._final() if self._changed or (is_cut and self.reply and self.pipeline.judges_reply) else None
        if is_cut and final == came:
            final = None
        return self._recorder.reply(came and self._concealed(came), final and self._concealed(final))

    def _titled(self, record: Record, may_be_read: bool) -> Record:
        """A session without its title where that begins a text which nobody may read."""
        if not isinstance(record, SessionRow):
            return record
        begins = any(text[:TOLD_CHARACTERS] in record.title for text in self.x.concealed)
        return record if may_be_read and not begins else replace(record, title="")

    def _concealed(self, content: bytes) -> bytes:
        return concealed(content, self.x.concealed)

    def _without_secrets(self, decision: Decision) -> Decision:
        """Nothing of a text that came in pieces is kept where any of it is concealed: a piece may be half a secret."""
        if not self.x.concealed:
            return decision
        if decision.subject == "textdelta":
            return replace(decision, given=b"", out=b"")
        return replace(decision, given=self._concealed(decision.given), out=self._concealed(decision.out))

    def _final(self) -> bytes:
        """The reply that the client got, as a document."""
        if not (self.flow.response and self.flow.response.stream):
            return (self.flow.response and self.flow.response.raw_content) or b""
        return self._read(b"".join(self.sent), streamed=True)

    def _read(self, data: bytes, *, streamed: bool) -> bytes:
        """Bytes that the client is sent, as a document."""
        reply = self.format.reply(self.x.request, streamed=streamed, hold_calls=False)
        with suppress(WireError):  # a refusal may stand anywhere: what was said up to it counts
            reply.receive_data(data)
            reply.receive_data(b"")
        return reply.message() or b""

    @property
    def is_bounded(self) -> bool:
        """Whether whoever asks has a limit of their own for replies."""
        return self.stay is not None and self.stay.reply_bytes is not None

    @property
    def _changed(self) -> bool:
        """Whether the client was told something else. The same text in other pieces is nothing else."""
        refused = self.refused is not None and self.pipeline.judges_reply  # else it was stopped as it came
        changed = self.set_aside is not None or refused
        return self.reply is not None and (changed or (self.reply.changed and self._acted))

    @property
    def _acted(self) -> bool:
        """Whether a rule did something to the reply: what it only let go on later is in no decision."""
        decisions = (each for each in self.x.decisions if each.mode == "enforce" and each.subject != "request")
        return any(each.action != "forwarded" for each in decisions)

    @property
    def _blocked(self) -> bool:
        return any(decision.action == "blocked" and decision.mode == "enforce" for decision in self.x.decisions)

    def _outcome(self) -> Outcome:
        if self.refused:
            return "blocked" if self.is_sent else "refused"
        if self.fault:
            return "error"
        if self._blocked:
            return "blocked"
        return "changed" if self._changed or self.x.request is not self.original else "passed"

    def _row(self, outcome: Outcome, seconds: float | None = None) -> ExchangeRow:
        x, response = self.x, self.flow.response
        acted = [d for d in x.decisions if d.mode == "enforce" and d.action != "forwarded"]
        return ExchangeRow(
            id=x.id, started_at=x.started_at, kind="model" if self.converses else "other",
            provider=x.provider, host=x.host, endpoint=x.endpoint,
            model=x.model, agent=x.agent, session_id=x.session_id, project=x.project, token=x.token,
            client=client_of(self.flow), policy_set=x.policy_set, streamed=self.original.stream,
            status=response.status_code if response else None, outcome=outcome, stop_reason=self._stop_reason,
            usage=first.usage if (first := self.set_aside or self.reply) else None,
            first_byte_ms=_ms(self._first_byte - self._began if self._first_byte else None), duration_ms=_ms(seconds),
            tool_calls=self._tool_calls, blocked=sum(d.action == "blocked" for d in acted),
            rules=tuple(dict.fromkeys(d.rule for d in acted)), error=self.fault,
            attested=x.attested, purpose=x.purpose,
        )  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
