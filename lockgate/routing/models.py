"""Asks models on Lockgate's own behalf, and logs every call."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi

from lockgate.errors import Error, WireError
from lockgate.events import Turn, Usage
from lockgate.exchange import Exchange
from lockgate.ports import Ask, CommLog, Resend
from lockgate.records import Comm, ExchangeRow, Relation, RelationType, new_id, now
from lockgate.redaction import concealed
from lockgate.routing.asking import NoAnswer, answer_text, request_document, request_headers, usage_of
from lockgate.routing.bounded import go_on, within
from lockgate.routing.resending import RESENT_BYTES, reply_of, resent_headers, secrets_of
from lockgate.wire.document import dumps, loads

if TYPE_CHECKING:
    import httpx2

SOURCE = "lockgate"
CONNECTIONS = 100
ANSWER_BYTES = 4 * 2**20
"""A longer answer to a question of ours is none."""
LONGEST_WAIT_SECONDS = 5.0
"""Between attempts, whatever `retry-after` says: somebody waits for the answer."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after: str

    @property
    def may_do_later(self) -> bool:
        return self.status == 429 or self.status >= 500


class _Failed(NoAnswer):
    """An attempt failed in a way that another may not."""

    def __init__(self, sentence: str, retry_after: str = "") -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class HttpModels:
    """The port `Models` over HTTP: one client, bounded connections, no proxy of the environment, TLS verified."""

    def __init__(self, log: CommLog, *, backoff_seconds: float = 0.5) -> None:
        self._log, self._backoff_seconds = log, backoff_seconds
        self._clients: dict[Path | None, httpx2.AsyncClient] = {}

    async def ask(self, ask: Ask, x: Exchange) -> str:
        """The answer's text. Raises Error whose sentence names the host, never the key."""
        await self._log.ready()
        call = _Call(
            url=ask.url, provider=ask.format, model=ask.model, trigger=ask.trigger, body=dumps(request_document(ask)),
            x=x, log=self._log, relation="judged_by", secrets=[ask.key],
        )  # fmt: skip
        try:
            text = await self._attempts(ask, call)
        except BaseException as error:
            call.end(str(error) if isinstance(error, Error) else type(error).__name__)
            raise
        call.end("")
        return text

    async def resend(self, resend: Resend, x: Exchange) -> Turn:
        """The reply to the exchange's request, sent once more. Raises Error whose sentence names the host only."""
        await self._log.ready()
        call = _Call(
            url=resend.to.url, provider=x.provider, model=resend.model, trigger=resend.trigger,
            body=dumps(resend.document), x=x, log=self._log, relation="resample_of",
            secrets=secrets_of(resend.to.headers),
        )  # fmt: skip
        try:
            turn = await self._resent(resend, call, x)
        except BaseException as error:
            call.end(str(error) if isinstance(error, Error) else type(error).__name__)
            raise
        call.end("")
        return turn

    async def _resent(self, resend: Resend, call: _Call, x: Exchange) -> Turn:
        call.asked()
        answer = await self._send(
            call, resent_headers(resend.to.headers), resend.timeout_seconds, RESENT_BYTES, resend.to.authority
        )
        if answer.status != 200:
            call.answered(answer, None)
            raise NoAnswer(f"the model server {call.host} answered with status {answer.status}")
        try:
            turn, message = reply_of(x, answer.body)
        except NoAnswer as error:
            call.answered(answer, None)
            raise NoAnswer(f"the model server {call.host}: {error}") from error
        call.answered(replace(answer, body=message), turn.usage)
        return turn

    async def close(self) -> None:
        """Close the connections. A later question opens new ones."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _attempts(self, ask: Ask, call: _Call) -> str:
        for attempt in range(ask.retries + 1):
            try:
                return await self._attempt(ask, call)
            except _Failed as error:
                if attempt == ask.retries:
                    raise
                await asyncio.sleep(self._wait_seconds(attempt, error.retry_after))
        raise AssertionError("the last attempt returns or raises")

    def _wait_seconds(self, attempt: int, retry_after: str) -> float:
        asked = float(retry_after) if retry_after.isdecimal() else 0.0
        usual = self._backoff_seconds * 2**attempt * random.uniform(0.5, 1.0)
        return min(max(asked, usual), LONGEST_WAIT_SECONDS)

    async def _attempt(self, ask: Ask, call: _Call) -> str:
        call.asked()
        answer = await self._send(call, list(request_headers(ask).items()), ask.timeout_seconds, ANSWER_BYTES)
        call.answered(answer, usage_of(ask, answer.body))
        if answer.status != 200:
            sentence = f"the model server {call.host} answered with status {answer.status}"
            raise _Failed(sentence, answer.retry_after) if answer.may_do_later else NoAnswer(sentence)
        try:
            return answer_text(ask, answer.body)
        except NoAnswer as error:
            raise NoAnswer(f"the model server {call.host}: {error}") from error

    def _client(self, authority: Path | None) -> httpx2.AsyncClient:
        """The client that trusts the system's authorities, or, like the proxy itself, only this one."""
        import httpx2  # 0.1 s, and only who has a judge needs it

        if authority not in self._clients:
            limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
            self._clients[authority] = httpx2.AsyncClient(
                verify=trust(authority), trust_env=False, limits=limits, timeout=None, follow_redirects=False
            )
        return self._clients[authority]

    async def _send(
        self, call: _Call, headers: list[tuple[str, str]], seconds: float, limit: int, authority: Path | None = None
    ) -> _Answer:
        import httpx2

        try:
            return await within(seconds, _post(self._client(authority), call, headers, limit, seconds))
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise _Failed(f"the model server {call.host} did not answer within {seconds:g} s") from error
        except httpx2.HTTPError as error:
            raise _Failed(f"the model server {call.host} cannot be reached: {type(error).__name__}") from error
        except httpx2.InvalidURL as error:
            raise NoAnswer(f"the URL of the model server {call.host} is not one that can be asked") from error


async def _post(
    client: httpx2.AsyncClient, call: _Call, headers: list[tuple[str, str]], limit: int, seconds: float
) -> _Answer:
    """`seconds` bounds each step, for work that was given up and does not know. Raises NoAnswer: it is too long."""
    async with client.stream("POST", call.url, content=call.body, headers=headers, timeout=seconds) as response:
        go_on()
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > limit:
                raise NoAnswer(f"the model server {call.host} answered with more than {limit} bytes")
        return _Answer(response.status_code, bytes(body), response.headers.get("retry-after", ""))


def trust(authority: Path | None) -> ssl.SSLContext:
    """The system's authorities, with those of SSL_CERT_FILE, and certifi's where a system has none; or this one."""
    if authority is not None:
        return ssl.create_default_context(cafile=str(authority))
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _Call:
    """One question and its attempts, as the log sees them. No header is logged: they hold the key."""

    def __init__(
        self,
        *,
        url: str,
        provider: str,
        model: str,
        trigger: str,
        body: bytes,
        x: Exchange,
        log: CommLog,
        relation: RelationType,
        secrets: Sequence[str],
    ) -> None:
        self.url, self.body, self._x, self._log = url, body, x, log
        self._relation: RelationType = relation
        self._trigger, self._secrets = trigger, [secret.encode() for secret in secrets if secret]
        parts = urlsplit(url)
        self.host, self._endpoint = parts.hostname or "", parts.path or "/"
        self._began = perf_counter()
        self._request_id = ""
        self._row = ExchangeRow(
            id=new_id(),
            started_at=now(),
            kind="model",
            provider=provider,
            host=self.host,
            endpoint=self._endpoint,
            model=model,
            agent=SOURCE,
            session_id=x.session_id,
            project=x.project,
            trigger=trigger,
        )

    def asked(self) -> None:
        """An attempt begins: the first is related to the exchange that it is about, a later one to the one before."""
        before, self._request_id = self._request_id, new_id()
        comm = self._comm(self._request_id, "REQUEST", self.body)
        relation = (
            Relation(from_comm_id=before, to_comm_id=self._request_id, type="retry_of")
            if before
            else Relation(from_comm_id=self._x.request_comm_id, to_comm_id=self._request_id, type=self._relation)
        )
        self._log.put([*([] if before else [self._row]), comm, relation])

    def answered(self, answer: _Answer, usage: Usage | None) -> None:
        self._row = replace(self._row, status=answer.status, usage=usage)
        comm = self._comm(new_id(), "RESPONSE", self._content(answer.body), answer.status)
        relation = Relation(from_comm_id=self._request_id, to_comm_id=comm.id, type="request_response")
        self._log.put([comm, relation])

    def end(self, error: str) -> None:
        """The question is answered, or, as `error` says, is not."""
        milliseconds = round((perf_counter() - self._began) * 1000, 3)
        outcome = "error" if error else "passed"
        self._log.put([replace(self._row, outcome=outcome, error=error, duration_ms=milliseconds)])

    def _content(self, body: bytes) -> bytes:
        """The answer as JSON text, without the key: an error may repeat the one that it refuses."""
        safe = body
        for secret in self._secrets:
            safe = safe.replace(secret, b"[key]")
        try:
            loads(safe)
        except WireError:
            return dumps(safe.decode("utf-8", "replace"))
        return safe

    def _comm(self, id: str, type: Any, content: bytes, status: int | None = None) -> Comm:
        ours = type == "REQUEST"
        about: dict[str, Any] = {"exchange_id": self._x.id} if ours else {}
        created: datetime = now()
        return Comm(
            id=id,
            exchange_id=self._row.id,
            session_id=self._x.session_id,
            type=type,
            source=SOURCE if ours else self.host,
            destination=self.host if ours else SOURCE,
            endpoint=self._endpoint,
            created_at=created,
            arguments=about,
            content=content and concealed(content, self._x.concealed),
            trigger=self._trigger,
            status=status,
        )
