"""The scripted provider: what real clients read from it is what the script says."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.upstream.provider import Provider
from tests.upstream.received import Received, decoded
from tests.upstream.script import (
    Answer,
    Call,
    Cut,
    End,
    Failure,
    Gate,
    InBandError,
    Pause,
    Plain,
    Raw,
    Reply,
    Reset,
    Text,
    Thinking,
    Usage,
    says,
    turns,
)
from tests.upstream.tls import Authority

THOUGHT = "It is Grüße they want."
TEXT = "I will 👩‍🚒 look at it, and then at more."
ARGUMENTS = {"path": "/tmp/ä", "deep": [1, {"a": None}]}
PARTS = [Thinking(THOUGHT), Text(TEXT), Call("look", ARGUMENTS), Call("look", {})]
USAGE = Usage(input=100, output=20, cached=60, reasoning=5)
ALL = [
    ("anthropic", True),
    ("anthropic", False),
    ("chat", True),
    ("chat", False),
    ("responses", True),
    ("responses", False),
]
PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "max_tokens": 99}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.leaf("127.0.0.1", "localhost")


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.ca_file))


def client(provider: Provider, trust: ssl.SSLContext, *, http2: bool = False) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=provider.url, verify=trust, http2=http2, http1=not http2, trust_env=False)


async def anthropic_message(provider: Provider, http: httpx2.AsyncClient, *, stream: bool) -> tuple[Any, ...]:
    sdk: Any = anthropic.AsyncAnthropic(api_key="k", base_url=provider.url, http_client=http, max_retries=0)
    asked: dict[str, Any] = {"model": "m", "max_tokens": 99, "messages": ASKED["messages"]}

    if stream:
        async with sdk.messages.stream(**asked) as events:
            message = await events.get_final_message()
    else:
        message = await sdk.messages.create(**asked)
    blocks = [block.to_dict() for block in message.content]
    usage = message.usage
    return (
        [(block["type"], block.get("text") or block.get("thinking") or block.get("input")) for block in blocks],
        message.stop_reason,
        (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
    )


async def chat_message(provider: Provider, http: httpx2.AsyncClient, *, stream: bool) -> tuple[Any, ...]:
    sdk: Any = openai.AsyncOpenAI(api_key="k", base_url=f"{provider.url}/v1", http_client=http, max_retries=0)
    asked: dict[str, Any] = {"model": "m", "messages": ASKED["messages"], "n": 2}

    if stream:
        async with sdk.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
            completion = await events.get_final_completion()
    else:
        completion = await sdk.chat.completions.create(**asked)
    said: list[Any] = [
        (
            choice.message.content,
            [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls],
            choice.finish_reason,
        )
        for choice in completion.choices
    ]
    assert said[0] == said[1]
    assert completion.usage is not None
    return (*said[0], completion.usage.prompt_tokens, completion.usage.completion_tokens)


async def responses_message(provider: Provider, http: httpx2.AsyncClient, *, stream: bool) -> tuple[Any, ...]:
    sdk: Any = openai.AsyncOpenAI(api_key="k", base_url=f"{provider.url}/v1", http_client=http, max_retries=0)
    if stream:
        async with sdk.responses.stream(model="m", input="Hi") as events:
            numbers = [event.sequence_number async for event in events]
            response = await events.get_final_response()
        assert numbers[0] == 0
    else:
        response = await sdk.responses.create(model="m", input="Hi")
    items = [item.to_dict() for item in response.output]
    assert response.usage is not None
    return (
        response.output_text,
        [(item["type"], item.get("arguments")) for item in items],
        response.status,
        response.usage.total_tokens,
    )


READERS = {"anthropic": anthropic_message, "chat": chat_message, "responses": responses_message}
EXPECTED: dict[str, tuple[Any, ...]] = {
    "anthropic": (
        [("thinking", THOUGHT), ("text", TEXT), ("tool_use", ARGUMENTS), ("tool_use", {})],
        "tool_use",
        (40, 60, 20),
    ),
    "chat": (TEXT, [("look", ARGUMENTS), ("look", {})], "tool_calls", 100, 20),
    "responses": (
        TEXT,
        [
            ("reasoning", None),
            ("message", None),
            ("function_call", json.dumps(ARGUMENTS)),
            ("function_call", "{}"),
        ],
        "completed",
        120,
    ),
}


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize(("format", "stream"), ALL)
async def test_the_sdk_reads_what_the_script_says(
    format: str, stream: bool, http2: bool, certificate: Path, trust: ssl.SSLContext
) -> None:
    async with Provider(says(*PARTS, usage=USAGE), certificate=certificate) as provider:
        async with client(provider, trust, http2=http2) as http:
            assert await READERS[format](provider, http, stream=stream) == EXPECTED[format]
    (request,) = provider.exchanges
    assert (request.http, request.streamed, request.route) == ("2" if http2 else "1.1", stream, PATHS[format])


async def test_sequence_numbers_rise_by_one(certificate: Path, trust: ssl.SSLContext) -> None:
    async with Provider(says(*PARTS), certificate=certificate) as provider, client(provider, trust) as http:
        reply = await http.post(PATHS["responses"], json=ASKED | {"stream": True})
    numbers = [json.loads(line[6:])["sequence_number"] for line in reply.text.splitlines() if line.startswith("data: ")]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("stream", [True, False])
async def test_replies_are_compressed_as_asked(
    encoding: str, stream: bool, certificate: Path, trust: ssl.SSLContext
) -> None:
    async with Provider(says("Grüße", encoding=encoding), certificate=certificate) as provider:
        async with client(provider, trust) as http:
            async with http.stream("POST", PATHS["chat"], json=ASKED | {"stream": stream}) as reply:
                raw = b"".join([piece async for piece in reply.aiter_raw()])
    assert reply.headers["content-encoding"] == encoding
    assert "Grüße" in decoded(raw, encoding).decode()


async def test_auto_takes_what_the_client_accepts() -> None:
    async with Provider(says("Hi", encoding="auto")) as provider, httpx2.AsyncClient(base_url=provider.url) as http:
        compressed = await http.post(PATHS["chat"], json=ASKED, headers={"accept-encoding": "gzip;q=1.0, x"})
        plain = await http.post(PATHS["chat"], json=ASKED, headers={"accept-encoding": "identity"})
    assert (compressed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_a_gate_holds_the_rest_until_the_test_opens_it(
    http2: bool, certificate: Path, trust: ssl.SSLContext
) -> None:
    script = says(Text(["one ", Gate("middle"), "two"]))
    async with Provider(script, certificate=certificate) as provider, client(provider, trust, http2=http2) as http:
        async with http.stream("POST", PATHS["chat"], json=ASKED | {"stream": True}) as reply:
            await provider.reached("middle")
            lines = reply.aiter_lines()
            before = await read_until(lines, "one ")
            provider.open("middle")
            after = await read_until(lines, "[DONE]")
    assert ("two" in before, "two" in after) == (False, True)


async def read_until(lines: Any, wanted: str) -> str:
    seen = ""
    while wanted not in seen:
        seen += await anext(lines)
    return seen


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", [Cut(), Reset()], ids=["cut", "reset"])
async def test_a_fault_breaks_the_transfer(
    fault: Cut | Reset, stream: bool, http2: bool, certificate: Path, trust: ssl.SSLContext
) -> None:
    script = says("Half", fault, "rest")
    async with Provider(script, certificate=certificate) as provider, client(provider, trust, http2=http2) as http:
        with pytest.raises(httpx2.TransportError):
            await http.post(PATHS["anthropic"], json=ASKED | {"stream": stream})
        assert await provider.ended(provider.exchanges[0]) == "broken"


@pytest.mark.parametrize("format", PATHS)
async def test_an_end_without_closing_frames_is_clean_for_http(format: str) -> None:
    async with Provider(says("Half", End(), "rest")) as provider, httpx2.AsyncClient(base_url=provider.url) as http:
        reply = await http.post(PATHS[format], json=ASKED | {"stream": True})
    assert ("Half" in reply.text, "rest" in reply.text) == (True, False)


@pytest.mark.parametrize(
    ("format", "kind"),
    [("anthropic", '"type":"error"'), ("chat", '{"error":'), ("responses", '"type":"response.failed"')],
)
async def test_an_error_in_band_is_the_last_event(format: str, kind: str) -> None:
    script = says("Half", InBandError("Too much"), "rest")
    async with Provider(script) as provider, httpx2.AsyncClient(base_url=provider.url) as http:
        reply = await http.post(PATHS[format], json=ASKED | {"stream": True})
    last = reply.text.strip().split("\n\n")[-1]
    assert (reply.status_code, kind in last, "Too much" in last) == (200, True, True)


async def test_bytes_and_whole_responses_can_be_made_by_hand() -> None:
    answers = turns(Plain(204), Reply([Pause(0), Raw(b": a comment\n\n"), Text("Hi")]))
    async with Provider(answers) as provider, httpx2.AsyncClient(base_url=provider.url) as http:
        empty = await http.post(PATHS["chat"], json=ASKED)
        history = [*ASKED["messages"], {"role": "assistant", "content": "…"}]
        reply = await http.post(PATHS["chat"], json={"messages": history, "stream": True})
    assert (empty.status_code, ": a comment" in reply.text) == (204, True)


@pytest.mark.parametrize("format", PATHS)
async def test_a_failure_has_the_formats_shape(format: str) -> None:
    failure = Failure(429, "Slow down", "rate_limit_error", {"retry-after": "2"})
    async with Provider(lambda received: failure) as provider, httpx2.AsyncClient(base_url=provider.url) as http:
        reply = await http.post(PATHS[format], json=ASKED)
    assert (reply.status_code, reply.headers["retry-after"], reply.json()["error"]["message"]) == (
        429,
        "2",
        "Slow down",
    )


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_a_client_that_leaves_is_noticed(http2: bool, certificate: Path, trust: ssl.SSLContext) -> None:
    script = says("Half", Gate("never"), "rest")
    async with Provider(script, certificate=certificate) as provider:
        async with client(provider, trust, http2=http2) as http:
            async with http.stream("POST", PATHS["chat"], json=ASKED | {"stream": True}):
                await provider.reached("never")
        assert await provider.ended(provider.exchanges[0]) == "gone"


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_large_bodies_pass_both_ways(http2: bool, certificate: Path, trust: ssl.SSLContext) -> None:
    text = "0123456789abcdef" * 20_000
    async with Provider(says(text), certificate=certificate) as provider, client(provider, trust, http2=http2) as http:
        reply = await http.post(PATHS["chat"], json=ASKED | {"padding": text})
    assert reply.json()["choices"][0]["message"]["content"] == text
    assert provider.exchanges[0].document["padding"] == text


async def test_side_calls_do_not_reach_the_script() -> None:
    def script(received: Received) -> Answer:
        raise AssertionError(received.path)

    agent = {"user-agent": "claude-cli/2.1.330 (external, cli)"}
    async with Provider(script) as provider, httpx2.AsyncClient(base_url=provider.url, headers=agent) as http:
        statuses = [
            (await http.head("/")).status_code,
            (await http.get("/v1/models")).status_code,
            (await http.post("/api/event_logging/batch", json={})).status_code,
            (await http.post("/v1/messages/count_tokens", json=ASKED)).status_code,
            (await http.post("/v1/messages", json=ASKED | {"max_tokens": 1})).status_code,
            (await http.get("/v1/responses", headers={"upgrade": "websocket", "connection": "upgrade"})).status_code,
            (await http.head("/unknown")).status_code,
        ]
    assert (statuses, provider.exchanges, len(provider.requests)) == ([200, 200, 200, 200, 200, 426, 404], [], 7)


async def test_an_error_in_the_script_fails_the_test() -> None:
    provider = await Provider(lambda received: Reply([], stop=str(1 // 0))).__aenter__()
    async with httpx2.AsyncClient(base_url=provider.url) as http:
        with pytest.raises(httpx2.TransportError):
            await http.post(PATHS["chat"], json=ASKED)
    with pytest.raises(ExceptionGroup, match="scripted provider failed"):
        await provider.__aexit__()


@contextmanager
def process(*arguments: str | Path) -> Generator[int]:
    command = [sys.executable, "-m", "tests.upstream.provider", *map(str, arguments)]
    root = Path(__file__).parent.parent.parent
    with Popen(command, cwd=root, stdout=PIPE, text=True) as provider:
        assert provider.stdout is not None
        try:
            yield int(provider.stdout.readline())
        finally:
            provider.terminate()


def test_it_runs_as_a_process(tmp_path: Path, certificate: Path, trust: ssl.SSLContext) -> None:
    script, log = tmp_path / "script.py", tmp_path / "requests.jsonl"
    script.write_text("from tests.upstream.script import says\nscript = says('From a file')\n")
    with process("--script", script, "--certificate", certificate, "--requests", log) as port:
        reply = httpx2.post(f"https://127.0.0.1:{port}/v1/chat/completions", json=ASKED, verify=trust)
        assert "From a file" in reply.text
    (line,) = log.read_text().splitlines()
    assert json.loads(json.loads(line)["body"]) == ASKED
