"""A request's document without some of its tools, in a form that the provider takes. Values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from lockgate.events import Path
from lockgate.policies.definitions import Definition, objects, references

type Json = dict[str, Any]

PLACEHOLDER: Json = {
    "name": "no_tool",
    "description": "Stands where a tool was taken away. Never call it.",
    "input_schema": {"type": "object", "properties": {}},
}
"""Anthropic refuses a history with calls of tools where no tool is declared, and tools that all have to be searched."""
_LISTS = ("tools", "functions")
_ONLY_WITH_TOOLS = ("tool_choice", "function_call", "parallel_tool_calls")
"""Keys that providers refuse where there are no tools."""


def without(document: Mapping[str, Any], gone: Sequence[Definition], format: str, names: Collection[str]) -> Json:
    """The document without these tools; `names` are those by which no tool can be called any more."""
    out = _pruned(dict(document), [tool.path for tool in gone])
    if format == "anthropic":
        _without_references(out, names)
        _complete(out)
    for key in _LISTS:
        if document.get(key) and not out.get(key):
            del out[key]
    if not _has_tools(out):
        for key in _ONLY_WITH_TOOLS:
            out.pop(key, None)
    for key in ("tool_choice", "function_call"):
        if key in out:
            out[key] = _choice(out[key], names, format)
    return out


def _pruned(document: Json, paths: Sequence[Path]) -> Json:
    """The document without what stands at these paths, and without namespaces and items that are empty then."""
    for path in sorted(paths, key=_places, reverse=True):  # from the end, so that places stay right
        document = _cut(document, path)
    return document


def _places(path: Path) -> tuple[tuple[str, int], ...]:
    return tuple(("", part) if isinstance(part, int) else (part, 0) for part in path)


def _cut(node: Any, path: Path) -> Any:
    """A copy without the value at the path; a list that is left empty goes with the namespace that it is of."""
    if len(path) == 1:
        return [one for at, one in enumerate(cast(list[Any], node)) if at != path[0]]
    inner = _cut(node[path[0]], path[1:])
    if isinstance(node, list):
        items = cast(list[Any], node)
        at = cast(int, path[0])
        return [*items[:at], *(() if _is_hollow(inner) else (inner,)), *items[at + 1 :]]
    return {**cast(Json, node), path[0]: inner}


def _is_hollow(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    item = cast(Json, value)
    return item.get("type") in ("namespace", "additional_tools") and item.get("tools") == []


def _has_tools(document: Json) -> bool:
    if any(document.get(key) for key in _LISTS):
        return True
    items = objects(document.get("input"))
    return any(item.get("type") in ("additional_tools", "tool_search_output") for _, item in items)


def _choice(choice: Any, names: Collection[str], format: str) -> Any:
    """What is left of a choice among tools: one that has to be called, or those that may be."""
    if not isinstance(choice, dict):
        return choice
    given = cast(Json, choice)
    if given.get("type") == "allowed_tools":
        return _allowed(given, names)
    if not _names(given, names):
        return given
    return (
        {key: value for key, value in given.items() if key != "name"} | {"type": "auto"}
        if (format == "anthropic")
        else "auto"
    )


def _allowed(choice: Json, names: Collection[str]) -> Any:
    inner: Any = choice.get("allowed_tools")
    holder = cast(Json, inner) if isinstance(inner, dict) else choice  # Chat has them one level down
    tools = [one for _, one in objects(holder.get("tools"))]
    left = [one for one in tools if not _names(one, names)]
    if len(left) == len(tools):
        return choice
    if not left:
        return "none"
    return {**choice, "allowed_tools": {**holder, "tools": left}} if holder is inner else {**choice, "tools": left}


def _names(choice: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether a choice is about one of these tools: by its name, one level down or not, or by its type."""
    kind = choice.get("type")
    inner: Any = choice.get(str(kind))
    holders = [choice, *([cast(Mapping[str, Any], inner)] if isinstance(inner, dict) else [])]
    said = [holder[key] for holder in holders for key in ("name", "server_label") if key in holder]
    return any(isinstance(name, str) and name in names for name in (said or [kind]))


# Anthropic.


def _without_references(document: Json, names: Collection[str]) -> None:
    """A reference to a tool that is not there any more is refused, so a text stands in its place."""
    messages: Any = document.get("messages")
    if not isinstance(messages, list):
        return
    changed = [_unreferred(message, names) for message in cast(list[Any], messages)]
    if any(new is not old for new, old in zip(changed, cast(list[Any], messages), strict=True)):
        document["messages"] = changed


def _unreferred(message: Any, names: Collection[str]) -> Any:
    blocks = [_block(block, names) for _, block in objects(_content(message))]
    if not any(changed for _, changed in blocks):
        return message
    given = iter(blocks)
    content = [next(given)[0] if isinstance(block, dict) else block for block in _content(message)]
    return {**cast(Json, message), "content": content}


def _content(message: Any) -> list[Any]:
    content: Any = cast(Json, message).get("content") if isinstance(message, dict) else None
    return cast(list[Any], content) if isinstance(content, list) else []


def _block(block: Mapping[str, Any], names: Collection[str]) -> tuple[Mapping[str, Any], bool]:
    """The block without references to these tools, and whether it is another one than before."""
    gone = [path for path, one in references(block) if str(one.get("tool_name")) in names]
    return (_replaced(block, gone), True) if gone else (block, False)


def _replaced(block: Mapping[str, Any], gone: Iterable[Path]) -> Json:
    content: Any = block["content"]
    if isinstance(content, dict):  # of the provider's own search: references and nothing else
        return _pruned(dict(block), list(gone))
    places = {path[1] for path in gone}
    told = [
        {"type": "text", "text": f"The tool {one['tool_name']} is not available here."} if at in places else one
        for at, one in enumerate(cast(list[Any], content))
    ]
    return {**block, "content": told}


def _complete(document: Json) -> None:
    """Put the placeholder where tools are asked for and none can be called at once."""
    tools = list(objects(document.get("tools")))
    if any(not tool.get("defer_loading") for _, tool in tools) or not (tools or _has_calls(document)):
        return
    document["tools"] = [*(tool for _, tool in tools), PLACEHOLDER]
    if not tools:
        document["tool_choice"] = {"type": "none"}


def _has_calls(document: Json) -> bool:
    return any(
        block.get("type") in ("tool_use", "tool_result")
        for _, message in objects(document.get("messages"))
        for _, block in objects(message.get("content"))
    )
