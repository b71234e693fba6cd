"""Lockgate's own questions to models: sent over HTTP to a scripted server, and logged."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx2
import pytest

from lockgate.events import Request, Usage
from lockgate.exchange import Exchange, Ports
from lockgate.ports import Ask
from lockgate.records import Comm, ExchangeRow, Record, Relation
from lockgate.routing.asking import NoAnswer
from lockgate.routing.models import ANSWER_BYTES, HttpModels
from tests.upstream.tls import Authority

KEY = "sk-very-secret"
ANTHROPIC = {
    "type": "message",
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "an "},
        {"type": "text", "text": "answer"},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 3},
}  # fmt: skip
OPENAI = {
    "choices": [{"message": {"role": "assistant", "content": "an answer"}}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
}


@dataclass(slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Server:
    """Answers in order: a status with headers and a body; None never answers, b"" hangs up."""

    answers: list[tuple[int, dict[str, str], bytes] | bytes | None]
    received: list[Received] = field(default_factory=list[Received])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(first.split()[1], headers, json.loads(body)))
        self.asked.set()
        answer = self.answers.pop(0)
        if answer is None:
            await reader.read()
        elif isinstance(answer, bytes):
            raise ConnectionError
        else:
            status, extra, content = answer
            fields = {"content-type": "application/json", "content-length": str(len(content)), **extra}
            text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {status} X\r\n{text}\r\n".encode() + content)
            await writer.drain()


@asynccontextmanager
async def serving(*answers: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a loopback port; what is no tuple, bytes or None is sent as JSON with status 200."""
    given = [
        answer if answer is None or isinstance(answer, bytes | tuple) else (200, {}, json.dumps(answer).encode())
        for answer in answers
    ]
    server = Server(given)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/ask?tenant=1"
    try:
        yield server
    finally:
        listening.close()


class Log:
    def __init__(self) -> None:
        self.records: list[Record] = []

    async def ready(self) -> None:
        pass

    def put(self, records: Sequence[Record]) -> None:
        self.records += records

    def of[Kind](self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.records if isinstance(record, kind)]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def models(log: Log) -> AsyncIterator[HttpModels]:
    models = HttpModels(log, backoff_seconds=0)
    yield models
    await models.close()


@pytest.fixture
def x(log: Log, models: HttpModels) -> Exchange:
    request = Request(raw=b"", document={}, model="m", stream=False, find_texts=lambda _: ())
    ports = Ports(log=log, models=models)
    return Exchange(
        provider="p", format="anthropic", host="h", endpoint="/", request=request, ports=ports, session_id="s"
    )


def ask(server: Server, **fields: Any) -> Ask:
    known: dict[str, Any] = {
        "url": server.url, "format": "anthropic", "model": "j", "system": "sys", "prompt": "p?", "key": KEY,
        "retries": 0, "timeout_seconds": 20.0,
    }  # fmt: skip
    return Ask(**{**known, **fields})


async def test_anthropic(models: HttpModels, x: Exchange):
    async with serving(ANTHROPIC) as server:
        assert await models.ask(ask(server), x) == "an answer"
    (got,) = server.received
    assert got.path == "/v1/ask?tenant=1"
    assert (got.headers["x-api-key"], got.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in got.headers
    assert got.body == {
        "model": "j", "max_tokens": 512, "system": "sys", "messages": [{"role": "user", "content": "p?"}],
    }  # fmt: skip


async def test_openai(models: HttpModels, x: Exchange):
    async with serving(OPENAI) as server:
        assert await models.ask(ask(server, format="openai", schema={"type": "object"}), x) == "an answer"
    (got,) = server.received
    assert got.headers["authorization"] == f"Bearer {KEY}"
    assert got.body == {
        "model": "j", "max_tokens": 512,
        "messages": [{"role": "system", "content": "sys"}, {"role": "user", "content": "p?"}],
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
        },
    }  # fmt: skip


@pytest.mark.parametrize(("format", "answer"), [("anthropic", ANTHROPIC), ("openai", OPENAI)])
async def test_every_call_is_logged_and_related(models: HttpModels, x: Exchange, log: Log, format: str, answer: Any):
    async with serving(answer) as server:
        await models.ask(ask(server, format=format), x)
    asked, answered = log.of(Comm)
    judged, responded = log.of(Relation)
    begun, ended = log.of(ExchangeRow)
    assert (asked.type, asked.source, asked.destination, asked.trigger) == ("REQUEST", "lockgate", "127.0.0.1", "judge")
    assert (answered.type, answered.source, answered.destination, answered.status) == (
        "RESPONSE", "127.0.0.1", "lockgate", 200,
    )  # fmt: skip
    assert (asked.endpoint, asked.arguments, asked.session_id) == ("/v1/ask", {"exchange_id": x.id}, "s")
    assert json.loads(asked.content or b"") == server.received[0].body
    assert json.loads(answered.content or b"") == answer
    assert (judged.type, judged.from_comm_id, judged.to_comm_id) == ("judged_by", x.request_comm_id, asked.id)
    assert (responded.type, responded.from_comm_id, responded.to_comm_id) == ("request_response", asked.id, answered.id)
    assert {asked.exchange_id, answered.exchange_id, begun.id, ended.id} == {begun.id}
    assert begun.id != x.id
    assert (begun.outcome, begun.trigger, begun.kind, begun.model) == ("open", "judge", "model", "j")
    assert (ended.outcome, ended.status) == ("passed", 200)
    assert ended.usage == Usage(input_tokens=5, output_tokens=2, cache_read_tokens=3)


async def test_the_key_is_nowhere_in_the_log_or_in_errors(models: HttpModels, x: Exchange, log: Log):
    async with serving((401, {}, json.dumps({"error": f"wrong key {KEY}"}).encode())) as server:
        with pytest.raises(NoAnswer, match=r"127\.0\.0\.1 answered with status 401") as caught:
            await models.ask(ask(server), x)
    assert KEY not in str(caught.value)
    assert KEY not in repr(log.records) + repr(ask(server))
    assert log.of(Comm)[1].content == b'{"error": "wrong key [key]"}'
    assert (log.of(ExchangeRow)[1].outcome, log.of(ExchangeRow)[1].status) == ("error", 401)


async def test_what_the_log_may_not_hold_is_asked_about_and_not_kept(models: HttpModels, x: Exchange, log: Log):
    x.conceal("hunter2-secret", "REDACTED")
    answer = {**ANTHROPIC, "content": [{"type": "text", "text": "hunter2-secret it is"}]}
    async with serving(answer) as server:
        assert await models.ask(ask(server, prompt="is hunter2-secret safe?"), x) == "hunter2-secret it is"
    assert "hunter2-secret" in json.dumps(server.received[0].body)
    assert len(log.of(Comm)) == 2
    assert all(b"REDACTED" in (comm.content or b"") for comm in log.of(Comm))
    assert "hunter2" not in repr(log.records)


@pytest.mark.parametrize(
    "failure",
    [(429, {"retry-after": "0"}, b"{}"), (500, {}, b"{}"), (529, {}, b"<html>"), b""],
    ids=["429", "500", "529", "hung up"],
)
async def test_what_may_do_later_is_asked_again(models: HttpModels, x: Exchange, log: Log, failure: Any):
    async with serving(failure, ANTHROPIC) as server:
        assert await models.ask(ask(server, retries=1), x) == "an answer"
    assert len(server.received) == 2
    first, second = (comm for comm in log.of(Comm) if comm.type == "REQUEST")
    again = next(relation for relation in log.of(Relation) if relation.type == "retry_of")
    assert (again.from_comm_id, again.to_comm_id) == (first.id, second.id)
    assert [relation.type for relation in log.of(Relation)].count("judged_by") == 1
    assert len(log.of(ExchangeRow)) == 2
    assert all(json.loads(comm.content or b"") is not None for comm in log.of(Comm))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((400, {}, b"{}"), "answered with status 400"),
        ((302, {"location": "/elsewhere"}, b""), "answered with status 302"),
        ((200, {}, b"<html>"), "its answer cannot be read"),
        ((200, {}, b'{"content": 5}'), "has not the form"),
        ((200, {}, b"[]"), "its answer cannot be read"),
        ({**ANTHROPIC, "stop_reason": "refusal"}, "it refused to answer"),
        ((200, {}, b"x" * (ANSWER_BYTES + 1)), "answered with more than"),
    ],
)
async def test_what_will_not_do_later_is_asked_once(models: HttpModels, x: Exchange, answer: Any, sentence: str):
    async with serving(answer) as server:
        with pytest.raises(NoAnswer, match=sentence):
            await models.ask(ask(server, retries=3), x)
    assert len(server.received) == 1


async def test_an_openai_refusal(models: HttpModels, x: Exchange):
    message = {"role": "assistant", "content": None, "refusal": "I can't."}
    async with serving({"choices": [{"message": message}]}) as server:
        with pytest.raises(NoAnswer, match="it refused to answer"):
            await models.ask(ask(server, format="openai"), x)


async def test_the_last_failure_is_told(models: HttpModels, x: Exchange, log: Log):
    async with serving((500, {}, b"{}"), (503, {}, b"{}")) as server:
        with pytest.raises(NoAnswer, match="status 503"):
            await models.ask(ask(server, retries=1), x)
    assert log.of(ExchangeRow)[-1].error == "the model server 127.0.0.1 answered with status 503"


async def test_a_silent_server_is_given_up(models: HttpModels, x: Exchange):
    async with serving(None) as server:
        with pytest.raises(NoAnswer, match=r"did not answer within 0\.05 s"):
            await models.ask(ask(server, timeout_seconds=0.05), x)


class Deaf(httpx2.AsyncBaseTransport):
    """Never answers, and swallows a cancellation, as anyio does where it comes while a connection opens."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        self.left.set()
        return httpx2.Response(200, json=ANTHROPIC)


async def test_a_transport_that_swallows_the_cancellation_is_given_up(
    models: HttpModels, x: Exchange, monkeypatch: pytest.MonkeyPatch
):
    deaf = Deaf()
    client = httpx2.AsyncClient(transport=deaf, trust_env=False)
    monkeypatch.setattr(HttpModels, "_client", Mock(return_value=client))
    with pytest.raises(NoAnswer, match=r"did not answer within 0\.05 s"):
        await models.ask(ask(Server([]), url="http://127.0.0.1:9/", timeout_seconds=0.05), x)
    await deaf.left.wait()


async def test_who_leaves_ends_the_exchange_in_the_log(models: HttpModels, x: Exchange, log: Log):
    async with serving(None) as server:
        task = asyncio.create_task(models.ask(ask(server), x))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (log.of(ExchangeRow)[-1].outcome, log.of(ExchangeRow)[-1].error) == ("error", "CancelledError")


async def test_a_port_where_nobody_listens(models: HttpModels, x: Exchange):
    async with serving() as server:
        pass
    with pytest.raises(NoAnswer, match=r"127\.0\.0\.1 cannot be reached: ConnectError"):
        await models.ask(ask(server), x)


async def test_no_proxy_of_the_environment_is_used(models: HttpModels, x: Exchange, monkeypatch: pytest.MonkeyPatch):
    """`lockgate run` sets these for the client: a judge that followed them would judge itself."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(ANTHROPIC) as server:
        assert await models.ask(ask(server), x) == "an answer"


@pytest.mark.parametrize("known", [True, False])
async def test_tls_is_verified(x: Exchange, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool):
    authority = Authority.make(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.leaf("127.0.0.1"))
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    models = HttpModels(log)
    async with serving(ANTHROPIC, tls=context) as server:
        if known:
            assert await models.ask(ask(server), x) == "an answer"
        else:
            with pytest.raises(NoAnswer, match="cannot be reached"):
                await models.ask(ask(server), x)
            assert server.received == []
    await models.close()


async def test_connections_are_kept_and_opened_anew_after_close(models: HttpModels, x: Exchange):
    async with serving(ANTHROPIC, ANTHROPIC) as server:
        await models.ask(ask(server), x)
        await models.close()
        assert await models.ask(ask(server), x) == "an answer"


@pytest.mark.parametrize(
    ("url", "limit"),
    [
        ("https://api.openai.com/v1/chat/completions", "max_completion_tokens"),
        ("http://x/api.openai.com/", "max_tokens"),
    ],
)
def test_the_limit_that_the_server_takes(url: str, limit: str):
    from lockgate.routing.asking import request_document

    document = request_document(Ask(url=url, format="openai", model="j", system="", prompt=""))
    assert [key for key in document if key.startswith("max")] == [limit]
