"""A streamed Chat Completions reply as the whole completion that it amounts to. Nothing here does I/O."""

from __future__ import annotations

from lockgate.wire.document import dumps
from lockgate.wire.openai_chat_parts import Block, Call, Choice, Json
from lockgate.wire.openai_chat_read import Reader


def message_of(reader: Reader) -> bytes | None:
    """The completion in JSON text, as far as it came; None before a choice began."""
    if not reader.choices:
        return None
    choices = [_choice(choice) for _, choice in sorted(reader.choices.items())]
    document = {**reader.head, "object": "chat.completion", "choices": choices}
    return dumps(document if reader.counts is None else {**document, "usage": reader.counts})


def _choice(choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": None, **choice.others}
    for name in dict.fromkeys(block.name for block in choice.texts):
        message[name] = _text(choice.texts, name)
    if calls := [_call(call) for call in choice.calls if call.place is not None]:
        message["tool_calls"] = calls
    for call in choice.calls:
        if call.place is None:
            message["function_call"] = {"name": call.name, "arguments": call.arguments}
    return {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs or None,
        "finish_reason": choice.finish or None,
    }


def _text(blocks: list[Block], name: str) -> str:
    return "".join(part for block in blocks if block.name == name for part in block.parts)


def _call(call: Call) -> Json:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
