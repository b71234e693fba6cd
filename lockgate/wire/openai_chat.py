"""OpenAI's Chat Completions (https://platform.openai.com/docs/api-reference/chat), and what compatible servers make
of it: the door to this format. Nothing here does I/O.
"""

from __future__ import annotations

from lockgate.events import Request
from lockgate.wire import openai_chat_request
from lockgate.wire.codec import Format
from lockgate.wire.openai_chat_stream import StreamedReply
from lockgate.wire.openai_chat_whole import WholeReply


class ChatFormat:
    """The format of `/v1/chat/completions`."""

    name = "openai-chat"

    def read_request(self, body: bytes) -> Request:
        return openai_chat_request.read_request(body)

    def reply(self, request: Request, *, streamed: bool, hold_calls: bool) -> StreamedReply | WholeReply:
        if not streamed:
            return WholeReply()
        choices = request.document.get("n")
        return StreamedReply(hold_calls=hold_calls, choices=choices if isinstance(choices, int) else 1)

    def error_body(self, sentence: str, *, kind: str = "invalid_request_error") -> bytes:
        return openai_chat_request.error_body(sentence, kind=kind)

    def answer(self, request: Request, text: str) -> tuple[str, bytes]:
        return openai_chat_request.answer(request, text)


FORMAT: Format = ChatFormat()
