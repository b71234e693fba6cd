"""What a tool call writes into files: by its tool's arguments, by its patch, by its command. Values only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lockgate.events import ToolCall
from lockgate.policies.arguments import strings_of
from lockgate.policies.commands import Unreadable, bare_name, document_of
from lockgate.policies.patches import is_patch
from lockgate.policies.remembered import remembered

MAX_CHARS = 100_000
"""What a longer text holds is not known later."""
_PATHS = ("file_path", "filePath", "path", "absolute_path", "target_file", "filename", "file", "relative_path", "uri")
_WHOLE = ("content", "contents", "file_text", "text", "file_content", "code", "data")
_OLD = ("old_string", "oldString", "old_str", "old_text", "oldText")
_NEW = ("new_string", "newString", "new_str", "new_text", "newText", "insert_text")
_LOOKS = frozenset({"read", "view", "grep", "search", "glob", "list", "ls", "find", "fetch"})
_PATCHED = re.compile(r"\*\*\* (Add|Update) File: ?([^\r\n]+)|(?:^|\n)\+\+\+ (?:b/)?([^\t\r\n]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """That a call writes a file: `text` in the place of `old`, or, where that is None, of all there is."""

    path: str
    text: str
    old: str | None = None

    def onto(self, before: str | None) -> str:
        """What the file holds afterwards, as far as is known: where the rest is not, what was added."""
        if self.old is None:
            return self.text
        if before is None:
            return self.text
        return before.replace(self.old, self.text, 1) if self.old and self.old in before else f"{before}\n{self.text}"


def writes_of(call: ToolCall) -> Sequence[Write]:
    """Everything that the call's own arguments write; nothing where they cannot be read."""
    return _writes(call.name, call.arguments, call.custom)


@remembered(1_000_000)
def _writes(name: str, arguments: str, custom: bool) -> Sequence[Write]:
    if bare_name(name) in _LOOKS:
        return ()
    try:
        document = document_of(ToolCall(block=0, id="", name=name, arguments=arguments, custom=custom))
    except Unreadable:
        return ()
    found = ([] if custom else [*_arguments(document)]) or _patches(document)
    return tuple(write for write in found if len(write.text) <= MAX_CHARS and write.path)


def _arguments(document: Mapping[str, Any]) -> Iterator[Write]:
    path = _first(document, _PATHS)
    if not path:
        return
    if (whole := _first(document, _WHOLE)) is not None:
        yield Write(path=path, text=whole)
        return
    edits: Any = document.get("edits")
    for edit in cast(list[Any], edits) if isinstance(edits, list) else [document]:
        if isinstance(edit, dict) and (new := _first(cast(dict[str, Any], edit), _NEW)) is not None:
            yield Write(path=path, text=new, old=_first(cast(dict[str, Any], edit), _OLD) or "")


def _first(document: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((document[key] for key in keys if isinstance(document.get(key), str)), None)


def _patches(document: Mapping[str, Any]) -> Iterator[Write]:
    for text in strings_of(document):
        if is_patch(text) and len(text) <= MAX_CHARS * 5:
            yield from _patched(text)


def _patched(patch: str) -> Iterator[Write]:
    """Each file of a patch: all of a new one; of another, the lines that are added."""
    heads = list(_PATCHED.finditer(patch))
    for head, after in zip(heads, [*heads[1:], None], strict=False):
        body = patch[head.end() : after.start() if after else len(patch)]
        added = "\n".join(line[1:] for line in body.split("\n") if line.startswith("+") and not line.startswith("+++"))
        yield Write(path=(head[2] or head[3]).strip(), text=added, old=None if head[1] == "Add" else "")
