"""What the providers' own SDKs send back of a reply means what was released."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from lockgate.wire import anthropic as anthropic_wire
from lockgate.wire import openai_chat, openai_responses
from lockgate.wire.codec import Format
from lockgate.wire.turns import Turn, messages_of, replied, turns_in
from tests.addons.messages import call, stream, text
from tests.wire.responses import call as function_call
from tests.wire.responses import encode, message, reasoning, reply_frames

EVENTS = {"content-type": "text/event-stream"}
TOOL: Any = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}


class Wire:
    """Answers the first request with the reply, and keeps what comes back in the second."""

    def __init__(self, reply: bytes) -> None:
        self.reply, self.sent = reply, list[Any]()
        self.http = httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(json.loads(request.content))
        return httpx2.Response(200, content=self.reply, headers=EVENTS)


def released(format: Format, reply: bytes) -> list[Turn]:
    """The turns of the reply as it was released."""
    read = format.reply(
        format.read_request(b'{"model":"m","messages":[],"stream":true}'), streamed=True, hold_calls=False
    )
    read.receive_data(reply)
    read.receive_data(b"")
    [turns] = replied(format.name, json.loads(read.message() or b""))
    return turns


def check(format: Format, wire: Wire) -> None:
    came_back = turns_in(format.name, messages_of(format.name, wire.sent[-1]))
    assert [turn.meaning for turn in came_back] == [turn.meaning for turn in released(format, wire.reply)]
    assert came_back[0].text.strip()
    assert came_back[0].calls


ANTHROPIC = stream(
    text(0, "I "), text(1, "look.\n"), call(2, "ls", "toolu_1"), call(3, "pwd", "toolu_2"), stop="tool_use"
)


@pytest.mark.parametrize("as_dict", [True, False])
def test_anthropic(as_dict: bool):
    wire = Wire(ANTHROPIC)
    client = anthropic.Anthropic(api_key="k", http_client=wire.http, max_retries=0)
    said: Any = [{"role": "user", "content": "hi"}]
    with client.messages.stream(model="m", max_tokens=9, messages=said) as streamed:
        reply = streamed.get_final_message()
    content = [block.model_dump() for block in reply.content] if as_dict else reply.content
    said += [{"role": "assistant", "content": content}, {"role": "user", "content": "go on"}]
    with client.messages.stream(model="m", max_tokens=9, messages=said) as streamed:
        streamed.until_done()
    check(anthropic_wire.FORMAT, wire)


def chat_stream() -> bytes:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    calls = [
        {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
        for at in range(2)
    ]
    rest = [{"index": at, "function": {"arguments": " 1.0}"}} for at in range(2)]
    deltas: list[Any] = [{"role": "assistant", "content": "I look."}, {"tool_calls": calls}, {"tool_calls": rest}]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("how", ["message", "dump", "numbers"])
def test_chat(how: str):
    wire = Wire(chat_stream())
    client = openai.OpenAI(api_key="k", http_client=wire.http, max_retries=0)
    said: Any = [{"role": "user", "content": "hi"}]
    with client.chat.completions.stream(model="m", messages=said) as streamed:
        reply: Any = streamed.get_final_completion().choices[0].message
    back = reply if how == "message" else reply.model_dump()
    if how == "numbers":  # as a client does that reads the arguments and writes them again
        for one in back["tool_calls"]:
            one["function"]["arguments"] = json.dumps({"a": 1})
    said += [back, {"role": "tool", "tool_call_id": "call_0", "content": "ok"}]
    with client.chat.completions.stream(model="m", messages=said) as streamed:
        streamed.until_done()
    check(openai_chat.FORMAT, wire)


@pytest.mark.parametrize("how", ["items", "dumps", "without reasoning"])
def test_responses(how: str):
    items = [reasoning("hm"), message("I look.", 2), function_call("f", '{"a": 1}', 3)]
    wire = Wire(encode(reply_frames(items)))
    client = openai.OpenAI(api_key="k", http_client=wire.http, max_retries=0)
    said: Any = [{"role": "user", "content": "hi"}]
    with client.responses.stream(model="m", input=said, tools=[TOOL]) as streamed:
        output: Any = streamed.get_final_response().output
    back = output if how == "items" else [item.model_dump() for item in output]
    back = [item for item in back if how != "without reasoning" or item["type"] != "reasoning"]
    said += [*back, {"type": "function_call_output", "call_id": "call_3", "output": "ok"}]
    with client.responses.stream(model="m", input=said, tools=[TOOL]) as streamed:
        streamed.until_done()
    check(openai_responses.FORMAT, wire)
