"""mitmproxy's hooks: a flow of a model host becomes an exchange, and whatever fails is blocked, never forwarded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

from mitmproxy import http

from lockgate.access.limits import Limited
from lockgate.addons.along import ReadAlong
from lockgate.addons.answers import ANSWERS, CLIENT_LEFT, Answers
from lockgate.addons.bodies import refuse
from lockgate.addons.door import Door
from lockgate.addons.entrance import ACCESS, Counting, Entrance, rules_for
from lockgate.addons.frames import streamed_reply
from lockgate.addons.identify import agent_of, marks_of
from lockgate.addons.passage import Finished, Passage
from lockgate.addons.record import client_of, record_side_call
from lockgate.addons.reply import FAILED, is_event_stream, is_success, judge_whole
from lockgate.addons.route import Route, stream_through
from lockgate.addons.stops import Side, Stops
from lockgate.config import Config, Host
from lockgate.errors import AccessError, StorageError, WireError, told
from lockgate.exchange import Exchange, Ports
from lockgate.history.asked import Asked
from lockgate.history.history import History, Standing
from lockgate.policies.kill_switch import KillSwitch
from lockgate.policies.pipeline import Pipeline, Refused
from lockgate.policies.registry import Registry
from lockgate.records import ExchangeRow, Outcome
from lockgate.redaction import credentials_in
from lockgate.wire.codec import Format
from lockgate.wire.encoding import decode_body
from lockgate.wire.endpoints import FAMILIES, Endpoint, endpoint_for

log = logging.getLogger(__name__)

DRAIN_SECONDS = 60.0
"""How long the end of the proxy waits for shadow rules that still think about replies that have gone out."""


class Gate:
    """Asks the rules about every exchange, and tells the log."""

    def __init__(
        self,
        config: Config,
        route: Route,
        registry: Registry,
        ports: Ports,
        finished: Finished,
        history: History | None = None,
        switch: KillSwitch | None = None,
        door: Door | None = None,
    ) -> None:
        self.config, self.route, self.registry, self.ports = config, route, registry, ports
        self.history, self.stops = history or History(), Stops(switch or KillSwitch(), route)
        self.entrance, self.metrics = Entrance(door, config, route, self.stops), route.metrics
        self._finished = finished
        self.passages: dict[str, Passage] = {}
        self._sides: dict[str, Side] = {}
        self._judging: dict[str, asyncio.Task[None]] = {}
        """By the flow: what the rules do with a reply that came whole."""
        self._ending: set[asyncio.Task[None]] = set()

    # Requests

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel that is stopped is not built; connections to model hosts are, as each request is told why."""
        self.entrance.connect(flow)
        if not (self.route.model_host(flow) or flow.response or self.stops.refuse_other(flow)):
            await self.entrance.enter_other(flow)

    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Decide from its headers what a request is: an exchange, a side call, or none of Lockgate's business."""
        try:
            return self._sort(flow)
        except Exception as error:  # mitmproxy would log it and go on
            self._stop(flow, error)
            return None

    def _sort(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """What is to be waited for, where a token has to be looked at."""
        found = self.route.model_host(flow)
        if found is None:
            if not (self.route.refuse_other(flow) or self.stops.refuse_other(flow)):
                stream_through(flow)
                if self.entrance.concerns(flow):
                    return self.entrance.enter_other(flow)
            return None
        asked, host = found
        endpoint = endpoint_for(flow.request.method, flow.request.path)
        flow.request.stream = False  # whatever stream_large_bodies says
        words = endpoint.format if endpoint else FAMILIES[host.format]
        refused = self.entrance.never_passes(flow, asked, endpoint)
        flow.request.headers.pop("upgrade", None)  # to what cannot be read; a proxy may leave it out
        if refused:
            kind, status, sentence = refused
            self.metrics.refused(kind, asked)
            self._sides[flow.id] = Side(asked, host.format, sentence)
            flow.response = refuse(words, sentence, status)
        elif endpoint is None:
            self._sides[flow.id] = Side(asked, host.format)
            if self.entrance.concerns(flow):
                return self._enter_side(flow, asked, host)
            self.route.send(flow, host)
            stream_through(flow)
            return None
        flow.metadata[ANSWERS] = Answers(
            request_bytes=self.config.limits.request_bytes,
            reply_bytes=self.config.limits.reply_bytes,
            oversize=lambda: self._oversize(flow, asked, host, words),
            unanswered=lambda reason: refuse(words, f"Lockgate got no reply from {asked}: {reason}.", 502),
            left=lambda: self._left(flow),
        )
        return None

    async def _enter_side(self, flow: http.HTTPFlow, asked: str, host: Host) -> None:
        """A request that carries no conversation, of who shows a token, or needs one."""
        if side := await self.entrance.enter_side(flow, asked, host):
            self._sides[flow.id] = side
            flow.response = refuse(FAMILIES[host.format], side.refused, 400)
            return
        try:
            self.route.send(flow, host)
            stream_through(flow)
        except Exception as error:
            self._stop(flow, error)

    def _oversize(self, flow: http.HTTPFlow, asked: str, host: Host, format: Format) -> http.Response:
        limit = self.config.limits.request_bytes
        sentence = f"the request is larger than Lockgate's limits.request_bytes, {limit} bytes."
        self.metrics.refused("oversize", asked)
        self._sides[flow.id] = Side(asked, host.format, sentence)
        return refuse(format, sentence, 400)

    async def request(self, flow: http.HTTPFlow) -> None:
        try:
            await self._request(flow)
        except (Exception, asyncio.CancelledError) as error:  # mitmproxy would forward, or wait for ever
            self._stop(flow, error)

    def _stop(self, flow: http.HTTPFlow, error: BaseException) -> None:
        log.error("a request could not be checked: %s", told(error))
        self.metrics.refused("failure")
        flow.request.stream, flow.response = False, http.Response.make(500, FAILED)
        if passage := self.passages.get(flow.id):
            passage.fault = passage.fault or FAILED

    async def _request(self, flow: http.HTTPFlow) -> None:
        if flow.response or flow.id in self._sides or (found := self.route.model_host(flow)) is None:
            return
        asked, host = found
        endpoint = endpoint_for(flow.request.method, flow.request.path)
        assert endpoint  # requestheaders made a side call of all else
        format = endpoint.format
        try:
            with Counting(self.metrics, asked):
                await self._begin(flow, asked, host, endpoint)
        except Refused as refusal:
            self._answer(flow, format, refusal)
        except WireError as error:
            self._reject(flow, asked, host, format, f"Lockgate cannot read this request: {error}.")
        except AccessError as error:
            self._deny(flow, asked, host, format, error)
        except StorageError as error:
            log.warning("a request to %s was refused: %s", asked, error)
            why = f"Lockgate lets nothing pass that it cannot record, and {error}."
            self._reject(flow, asked, host, format, why, recorded=False)
        except Exception as error:
            log.error("a request to %s could not be checked: %s", asked, told(error))
            self._reject(flow, asked, host, format, FAILED)

    async def _begin(self, flow: http.HTTPFlow, asked: str, host: Host, endpoint: Endpoint) -> None:
        limit = self.config.limits.request_bytes
        body = decode_body(flow.request.raw_content or b"", flow.request.headers.get("content-encoding", ""), limit)
        headers, format = flow.request.headers, endpoint.format
        guest = await self.entrance.enter(flow, asked)
        x = Exchange(
            provider=host.format, format=format.name, host=asked, endpoint=flow.request.path.partition("?")[0],
            request=format.read_request(body), ports=self.ports, agent=agent_of(headers), client=client_of(flow),
            credentials=credentials_in((*headers.items(multi=True), *flow.request.query.items(multi=True))),
        )  # fmt: skip
        if guest:
            x.project, x.token, x.labels = guest.token.project, guest.token.id, guest.token.labels
            x.credentials = (*x.credentials, guest.secret)
            if guest.secret.encode() in body:
                x.conceal(guest.secret, guest.token.hint)
        await self.ports.log.ready()
        standing = await self._stand(x, headers, endpoint)
        try:
            pipeline = Pipeline(await rules_for(self.registry, guest), x)
        except BaseException:
            if standing:
                self.history.ended(standing)
            raise
        passage = Passage(flow, x, endpoint, pipeline, self.config.limits, self.history, standing)
        passage.guest = guest
        self.passages[flow.id] = passage
        passage.begin()
        self.stops.check(passage)
        if passage.pipeline.judges_reply and x.request.document.get("background"):
            raise WireError("its reply would be fetched later, where no rule sees it; ask without 'background'")
        await self.entrance.let_in(passage, host, len(body))
        x.origin = self.route.origin(flow, host)
        await passage.unless_stopped(passage.judge_request())
        self.stops.check(passage)  # of the model that it goes to
        passage.is_sent = True
        self.route.send(flow, host)

    async def _stand(self, x: Exchange, headers: http.Headers, endpoint: Endpoint) -> Standing | None:
        """What is known of the history, before the rules look; None where that failed: then it is `unknown`."""
        document = x.request.document
        try:
            standing = await self.history.stand(
                Asked(
                    exchange_id=x.id, format=x.format, document=document, marks=marks_of(headers, document),
                    agent=x.agent, project=x.project, token=x.token, client=x.client, tools=bool(x.request.tools),
                    converses=endpoint.converses, compacts=endpoint.compacts, started_at=x.started_at,
                )
            )  # fmt: skip
        except Exception as error:
            log.error("exchange %s: its history cannot be compared: %s", x.id, told(error))
            x.attested = "unknown"
            return None
        x.session_id, x.attested, x.purpose = standing.session_id, standing.attested, standing.purpose
        x.session = standing.session.row if standing.session else None
        return standing

    def _answer(self, flow: http.HTTPFlow, format: Format, refusal: Refused) -> None:
        """A rule refused the request: it is never sent."""
        passage = self.passages[flow.id]
        passage.refused = refusal
        if refusal.shape in ("reply", "text"):
            content_type, body = format.answer(passage.original, str(refusal))
            flow.response = http.Response.make(200, body, {"content-type": content_type})
            passage.release(body)
        else:
            flow.response = refuse(format, str(refusal), 400)

    def _deny(self, flow: http.HTTPFlow, asked: str, host: Host, format: Format, error: AccessError) -> None:
        """Whoever asks may not: it is never sent."""
        refusal, passage = Refused(ACCESS, str(error), "error"), self.passages.get(flow.id)
        if passage and passage.stop(refusal, str(error)):
            self._answer(flow, format, refusal)
        else:
            self._reject(flow, asked, host, format, str(refusal), recorded=not error.repeats)
        if isinstance(error, Limited) and error.retry_after:
            flow.response = refuse(format, str(refusal), 429, retry_after=error.retry_after)

    def _reject(
        self, flow: http.HTTPFlow, asked: str, host: Host, format: Format, sentence: str, *, recorded: bool = True
    ) -> None:
        """The request could not be judged: it is never sent."""
        flow.response = refuse(format, sentence, 400)
        if passage := self.passages.get(flow.id):
            passage.fault = sentence
        else:
            self._sides[flow.id] = Side(asked, host.format, sentence, recorded)

    # Replies

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        passage, response = self.passages.get(flow.id), flow.response
        assert response
        if response.status_code == 101 and self.route.model_host(flow):
            flow.kill()
            return
        if passage is None:
            response.stream = flow.id in self._sides or self.route.model_host(flow) is None
        elif passage.refused or passage.fault:
            return  # an answer of Lockgate's own
        elif passage.compacts and is_success(response):
            response.stream = cast(Any, ReadAlong(passage, response.headers.get("content-encoding", ""), self._end))
        elif not passage.converses:
            response.stream = True
        elif is_success(response) and is_event_stream(response, asked=passage.original.stream):
            encoding = response.headers.get("content-encoding", "")
            stream = streamed_reply(passage, encoding, self._end, self.config.log)
            if encoding and not stream.verbatim:
                del response.headers["content-encoding"]
            response.stream = cast(Any, stream)  # more than mitmproxy's type: it may be awaited
        if passage:
            passage.answered(response, is_success(response))
            self.entrance.answered(passage, response)

    async def response(self, flow: http.HTTPFlow) -> None:
        if side := self._sides.pop(flow.id, None):
            self._record_side(flow, side)
        elif (passage := self.passages.get(flow.id)) and not (flow.response and callable(flow.response.stream)):
            if passage.converses and not (passage.refused or passage.fault):
                await self._judge_whole(passage)
            left = flow.metadata.get(CLIENT_LEFT) and not passage.refused
            self._end(passage, "gone" if left else None)

    def _left(self, flow: http.HTTPFlow) -> None:
        """The client left: nobody waits any more for what the rules do. A stream is told by itself."""
        if judging := self._judging.get(flow.id):
            judging.cancel()

    async def _judge_whole(self, passage: Passage) -> None:
        flow = passage.flow
        assert flow.response
        if not is_success(flow.response):
            passage.take_error()
            return
        encoding = flow.response.headers.get("content-encoding", "")
        work = passage.unless_stopped(judge_whole(passage, encoding))
        judging = self._judging[flow.id] = asyncio.ensure_future(work)
        try:
            await judging
        except Refused as refusal:
            passage.refused = refusal
            flow.response = refuse(passage.format, str(refusal), 400)
        except WireError as error:
            passage.fault = f"the reply cannot be read: {error}"
            if passage.pipeline.judges_reply or passage.is_bounded:
                status = 400 if passage.is_bounded else 502  # who asks again would pay again
                flow.response = refuse(passage.format, f"Lockgate cannot read the provider's reply: {error}.", status)
        except (Exception, asyncio.CancelledError) as error:
            if flow.metadata.get(CLIENT_LEFT):
                passage.fault = "the client left"
            else:
                log.error("exchange %s: the reply could not be checked: %s", passage.x.id, told(error))
                passage.fault = FAILED
            if passage.pipeline.judges_reply:
                flow.response = refuse(passage.format, FAILED, 400)
        finally:
            del self._judging[flow.id]

    def error(self, flow: http.HTTPFlow) -> None:
        """The client left, or the provider did not answer, before a reply began; a stream tells its own end."""
        message = flow.error.msg if flow.error else ""
        if side := self._sides.pop(flow.id, None):
            self._record_side(flow, side)
        elif (passage := self.passages.get(flow.id)) and passage.refused:
            self._end(passage, None)
        elif passage:
            passage.fault = passage.fault or message
            self._end(passage, "gone" if flow.metadata.get(CLIENT_LEFT) else "cut")

    def stop_exchanges(self) -> None:
        """End what is under way and is stopped now."""
        self.stops.apply(self.passages, self._sides)

    async def check_guests(self) -> None:
        """Something about access has changed: end what is under way with a token that can be used no more."""
        await self.entrance.end_refused(self.passages)

    # The end

    def _record_side(self, flow: http.HTTPFlow, side: Side) -> None:
        if side.recorded:
            self.metrics.ended(record_side_call(flow, self.ports.log, side.provider, side.host, side.refused))

    def _end(self, passage: Passage, outcome: Outcome | None) -> None:
        self.passages.pop(passage.flow.id, None)
        if leaving := self.entrance.left(passage, outcome):
            self._spawn(leaving)
        self._spawn(passage.end(outcome, self._told))

    def _told(self, row: ExchangeRow, x: Exchange) -> None:
        self.metrics.ended(row, x.decisions, x.held_seconds)
        if row.kind == "model":
            self._finished(row, x)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("the end of an exchange could not be told to the log: %s", told(error))

    @property
    def under_way(self) -> int:
        """How many exchanges have begun, and have not ended."""
        return len(self.passages)

    async def drain(self) -> None:
        """Every exchange that was let in is told to the log before the proxy ends."""
        for passage in list(self.passages.values()):
            passage.fault = passage.fault or "the proxy stopped"
            self._end(passage, "cut")
        if self._ending:
            await asyncio.wait(self._ending, timeout=DRAIN_SECONDS)
