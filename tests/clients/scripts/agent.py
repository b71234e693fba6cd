"""An agent of few lines on the Python SDKs: asks, runs the shell commands that the model wants, prints its last words.

Run as: agent.py anthropic|chat|responses stream|whole PROMPT
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
SHELL = {"name": "bash", "description": "Runs a shell command.", "parameters": SCHEMA}


def run(arguments: dict[str, Any]) -> str:
    done = subprocess.run(
        arguments["command"], shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return f"exit code {done.returncode}: {done.stdout}"


def anthropic_agent(prompt: str, stream: bool) -> str:
    import anthropic

    client: Any = anthropic.Anthropic()
    tool = {"name": "bash", "description": SHELL["description"], "input_schema": SCHEMA}
    messages: list[Any] = [{"role": "user", "content": prompt}]
    while True:
        asked: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 1000, "tools": [tool], "messages": messages}
        if stream:
            with client.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**asked)
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in message.content if block.type == "text")
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": run(call.input)} for call in calls]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]


def chat_agent(prompt: str, stream: bool) -> str:
    import openai

    client: Any = openai.OpenAI()
    messages: list[Any] = [{"role": "user", "content": prompt}]
    asked: dict[str, Any] = {
        "model": "gpt-5.5",
        "tools": [{"type": "function", "function": SHELL}],
        "messages": messages,
    }
    while True:
        if stream:
            with client.chat.completions.stream(**asked) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**asked).choices[0].message
        if not message.tool_calls:
            return message.content or ""
        calls = [call.to_dict() for call in message.tool_calls]
        for call in calls:
            call["function"].pop("parsed_arguments", None)
        messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        for call in message.tool_calls:
            content = run(json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def responses_agent(prompt: str, stream: bool) -> str:
    import openai

    client: Any = openai.OpenAI()
    items: list[Any] = [{"role": "user", "content": prompt}]
    asked: dict[str, Any] = {
        "model": "gpt-5.5",
        "tools": [{"type": "function", **SHELL}],
        "input": items,
        "store": False,
    }
    while True:
        if stream:
            with client.responses.stream(**asked) as events:
                response = events.get_final_response()
        else:
            response = client.responses.create(**asked)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        for item in response.output:
            kept = item.to_dict()
            kept.pop("parsed_arguments", None)
            items.append(kept)
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": run(json.loads(call.arguments))}
            for call in calls
        ]


if __name__ == "__main__":
    agents = {"anthropic": anthropic_agent, "chat": chat_agent, "responses": responses_agent}
    print(agents[sys.argv[1]](sys.argv[3], sys.argv[2] == "stream"))
