"""The content view: what people who watch are shown of exchanges, from a real proxy and from bodies that mean harm."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from mitmproxy import contentviews, http
from mitmproxy.contentviews import Metadata, prettify_message
from mitmproxy.test import tflow

from lockgate.addons import conversation_view
from lockgate.addons.conversation_view import SHOWN_CHARACTERS, ConversationContentview
from tests.addons.gated import gated
from tests.addons.test_gate_secrets import KEY as SECRET
from tests.addons.wires import WIRES, Wire, bash, every_wire
from tests.upstream.proxied import Proxy, Tls, tls
from tests.upstream.script import Text

__all__ = ["tls"]

PATHS = {"anthropic": "/v1/messages", "openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses"}
every_format = pytest.mark.parametrize("format", PATHS)
EVIL = {
    "ansi": "\x1b[2J\x1b]0;title\x07",
    "bidi": "\u202e\u2066gnp.exe\u2069\u200f",
    "nul": "a\x00b\x7f\x9b",
    "surrogate": "\ud83d \udcff",
    "invisible": "\u200b\ufeff\u2028",
    "html": "<script>alert(1)</script>",
}


class Flows:
    """Keeps the flows, as a view does, and the content view under the name of one."""

    name = "keeps-flows"

    def __init__(self) -> None:
        self.flows: list[http.HTTPFlow] = []

    def request(self, flow: http.HTTPFlow) -> None:
        self.flows.append(flow)


def shown(
    body: bytes,
    format: str = "anthropic",
    *,
    reply: bool = False,
    hidden: Mapping[str, str] | None = None,
    path: str = "",
    is_model_host: bool = True,
) -> str:
    """What the view makes of a body."""
    view = ConversationContentview(lambda _: is_model_host, lambda _: hidden or {})
    flow = _flow(path or PATHS[format])
    assert flow.response
    message = flow.response if reply else flow.request
    message.content = body
    text = view.prettify(body, Metadata(flow=flow, http_message=message))
    text.encode()  # whoever shows it has to send it
    assert not any(ord(char) < 32 and char not in "\n\t" for char in text)
    return text


def _keep_bodies(proxy: Proxy) -> None:
    options: Any = proxy.master.options
    options.update(store_streamed_bodies=True)  # as where there is a view


def _flow(path: str) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    flow.request.method, flow.request.path = "POST", path
    return flow


@every_wire
async def test_an_exchange_is_shown_as_a_conversation(tls: Tls, wire: Wire) -> None:
    kept = Flows()
    async with gated(tls, addons=(kept,)) as at:
        _keep_bodies(at.proxy)
        reply = await (await at.client(wire.host)).send(wire.body, path=wire.path)
        given = wire.reply(Text("I look around."), bash("ls -l"))
        await (await at.provider.next()).reply(given, headers=wire.headers)
        await reply.over()
        await at.log.ended()
        [flow] = kept.flows
        assert flow.response
        asked, answered = (prettify_message(message, flow) for message in (flow.request, flow.response))
        assert "conversation" in contentviews.registry
    assert "conversation" not in contentviews.registry
    assert (asked.view_name, answered.view_name) == ("Conversation", "Conversation")
    assert asked.text.startswith(f"m, {'streamed' if wire.streamed else 'whole'}, 1 message\n")
    assert "▌ tools\nBash\n" in asked.text
    assert asked.text.endswith("▌ user\nTidy up, please.")
    assert "▌ assistant\nI look around.\n" in answered.text
    assert "▌ assistant calls Bash (" in answered.text
    assert answered.text.endswith("\n  command: ls -l")
    assert "stop reason: " in answered.text.split("\n")[0]
    assert "tokens in" in answered.text.split("\n")[0]


async def test_what_the_log_may_not_hold_is_concealed(tls: Tls) -> None:
    kept = Flows()
    wire = WIRES[0]
    body = json.dumps(wire.document | {"messages": [{"role": "user", "content": f"the key is {SECRET}"}]}).encode()
    rule = {"name": "secrets", "use": "secret_guard", "mode": "shadow"}  # it conceals, and changes nothing
    async with gated(tls, rule, addons=(kept,)) as at:
        _keep_bodies(at.proxy)
        reply = await (await at.client(wire.host)).send(body, path=wire.path)
        given = wire.reply(Text(f"It is {SECRET}."))
        await (await at.provider.next()).reply(given, headers=wire.headers)
        await reply.over()
        await at.log.ended()
        [flow] = kept.flows
        assert flow.response
        texts = [prettify_message(message, flow).text for message in (flow.request, flow.response)]
    assert "the key is " in texts[0]
    assert "It is " in texts[1]
    assert not any(SECRET in text for text in texts)


@pytest.mark.parametrize(("path", "is_model_host", "method"), [
    ("/v1/models", True, "GET"), ("/v1/files", True, "POST"), (PATHS["anthropic"], False, "POST"),
])  # fmt: skip
def test_other_flows_are_left_to_other_views(path: str, is_model_host: bool, method: str) -> None:
    view = ConversationContentview(lambda _: is_model_host, lambda _: {})
    flow = _flow(path)
    flow.request.method = method
    assert view.render_priority(b"{}", Metadata(flow=flow, http_message=flow.request)) < 0
    assert view.render_priority(b"{}", Metadata()) < 0
    assert "No conversation can be read" in view.prettify(b"x", Metadata())


def test_a_count_of_tokens_shows_its_request_only() -> None:
    view = ConversationContentview(lambda _: True, lambda _: {})
    flow = _flow("/v1/messages/count_tokens")
    assert view.render_priority(b"{}", Metadata(flow=flow, http_message=flow.request)) > 1
    assert view.render_priority(b"{}", Metadata(flow=flow, http_message=flow.response)) < 0


def test_thinking_calls_results_and_files_are_told_apart() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "zzz"},
        {"type": "text", "text": "I read it."},
        {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a\nb", "lines": [1, 2]}},
    ]
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "inside"}]},
              {"type": "image", "source": {"type": "base64", "data": "A" * 100}}]  # fmt: skip
    messages = [{"role": "assistant", "content": content}, {"role": "user", "content": result}]
    text = shown(json.dumps({"model": "m", "system": "Be good.", "messages": messages}).encode())
    assert "▌ system\nBe good.\n" in text
    assert "▌ assistant (thinking)\nhm\n" in text
    assert "▌ assistant (thinking)\n(hidden by the provider)\n" in text
    assert "▌ assistant calls Read (t1)\n  path: a\n    b\n  lines: [1, 2]\n" in text
    assert "▌ tool result (t1)\ninside\n" in text
    assert "[image, " in text
    assert "A" * 100 not in text


def test_items_of_responses() -> None:
    given = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I think"}], "encrypted_content": "x"},
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply", "input": "free text"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        {"type": "item_reference", "id": "rs_1"},
    ]
    text = shown(json.dumps({"model": "m", "instructions": "Be good.", "input": given}).encode(), "openai-responses")
    for part in ("▌ system\nBe good.", "▌ assistant (thinking)\nI think", "▌ assistant calls apply (c1)\nfree text",
                 "▌ tool result (c1)\ndone", "[item_reference, "):  # fmt: skip
        assert part in text


def test_an_error_of_the_provider_is_shown() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded\x1b[2J"}}
    assert "▌ error overloaded_error\nOverloaded␛[2J" in shown(json.dumps(error).encode(), reply=True)


@every_format
@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_no_character_steers_who_watches(format: str, evil: str) -> None:
    part = {"role": evil, "content": evil}
    function = {"name": evil, "arguments": json.dumps({evil: evil})}
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": evil, "name": evil, "input": {evil: evil}}],
            "tool_calls": [{"id": evil, "function": function}]}  # fmt: skip
    item = {"type": "function_call", "call_id": evil, "name": evil, "arguments": json.dumps({evil: evil})}
    messages = [part, call, item, {"type": evil}]
    body = json.dumps({"model": evil, "system": evil, "instructions": evil, "messages": messages, "input": messages,
                       "tools": [{"name": evil}]})  # fmt: skip
    reply = json.dumps({"type": "message", "id": evil, "model": evil, "stop_reason": evil, "status": evil,
                        "content": call["content"], "choices": [{"finish_reason": evil, "message": part}],
                        "output": messages})  # fmt: skip
    for text in (shown(body.encode(), format), shown(reply.encode(), format, reply=True)):
        for char in evil:
            if not char.isprintable() or char in "\u200b\ufeff\u2028":
                assert char not in text


@every_format
@pytest.mark.parametrize("reply", [False, True], ids=["request", "reply"])
@pytest.mark.parametrize("body", [
    b"", b"\x00\xff\xfe", b"null", b"[]", b"{}", b'"x"', b"{" * 5_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"messages": 1, "input": 2, "choices": 3, "content": 4, "output": 5}',
    b'{"messages": [1, null, "x", []], "input": [1, null, "x"], "choices": [1, {"message": 2}], "output": [null]}',
    b'{"messages": [{"role": 1, "content": {"a": 1}}], "content": [{"type": 5}, {"text": []}], "model": {"a": []}}',
    b"data: {\n\ndata: x\n\n", b"event: message_start\ndata: {}\n\n", b"data: [DONE]\n\n",
    gzip.compress(b"{}", mtime=0),
    b'{"model": "\\ud800", "messages": [{"role": "user", "content": "\\udfff"}], "input": "\\ud800"}',
    b'{"messages": [], "messages": [{}], "x": 1e999, "y": 123456789012345678901234567890}',
])  # fmt: skip
def test_no_body_makes_it_fail(format: str, reply: bool, body: bytes) -> None:
    assert shown(body, format, reply=reply)


def test_a_body_that_cannot_be_read_is_shown_without_its_secrets() -> None:
    text = shown(f"half a docu{{ment with {SECRET}, and more".encode(), hidden={SECRET: "[secret]"})
    assert "half a docu{ment with [secret], and more" in text


@pytest.mark.parametrize("shift", range(0, 44, 4))
def test_what_is_cut_short_ends_in_no_half_secret(shift: int) -> None:
    body = ("x" * (conversation_view.UNREAD_CHARACTERS - shift) + SECRET) * 2
    assert SECRET[:6] not in shown(body.encode(), hidden={SECRET: "[secret]"})


@every_format
def test_large_bodies_are_shown_in_part(format: str) -> None:
    said = [{"role": "user", "content": f"{number} " + "y" * 1_000} for number in range(5_000)]
    key = "input" if format == "openai-responses" else "messages"
    text = shown(json.dumps({"model": "m", key: said}).encode(), format)
    assert "\n4999 " in text
    assert "older left out" in text
    assert len(text) < 2 * SHOWN_CHARACTERS


def test_one_text_of_five_megabytes() -> None:
    text = shown(json.dumps({"model": "m", "messages": [{"role": "user", "content": "z" * 5_000_000}]}).encode())
    assert "more characters" in text
    assert len(text) < SHOWN_CHARACTERS


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire.streamed], ids=lambda wire: wire.name)
def test_a_long_stream_is_read_as_far_as_time_allows(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_000))
    monkeypatch.setattr(conversation_view, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(conversation_view, "READ_SECONDS", 2.5)
    monkeypatch.setattr(conversation_view, "SLICE_BYTES", 1_000)
    body = wire.reply(*(Text(f"part {number} {SECRET} ") for number in range(100)))
    text = shown(body, wire.name, reply=True, hidden={SECRET: "[secret]"})
    assert "there is more" in text
    assert SECRET[:6] not in text
    assert "part 99" not in text


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = ("sqlalchemy", "fastapi", "rich", "tornado")
    code = f"import sys; import lockgate.app; print([name for name in {heavy} if name in sys.modules])"
    found: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
