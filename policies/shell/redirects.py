"""Redirections and heredocs of a script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lockgate.policies.shell import words as spelled
from lockgate.policies.shell.expand import Expander
from lockgate.policies.shell.model import Redirect, some, unquoted
from lockgate.policies.shell.work import MAX_TOTAL, Node

_WAYS: Mapping[str, Any] = {
    "<": "read",
    "<&": "read",
    ">": "write",
    ">|": "write",
    "&>": "write",
    ">&": "write",
    ">>": "append",
    "&>>": "append",
}


class Redirector(Expander):
    """Reads redirections."""

    def _redirect(self, node: Node) -> list[Redirect]:
        if node.type == "herestring_redirect":
            texts = [
                self._piece(child, quoted=True) for child in node.named_children if child.type != "file_descriptor"
            ]
            return [Redirect(kind="text", text=_unmarked("".join(texts)) + "\n")]
        if node.type == "heredoc_redirect":
            inner = [r for child in node.children_by_field_name("redirect") for r in self._redirect(child)]
            return [Redirect(kind="text", text=self._heredoc(node)), *inner]
        operator = next((c.type for c in node.children if not c.is_named and c.type in _WAYS), "")
        targets = [word for child in node.children_by_field_name("destination") for word in self._words(child)]
        if operator in (">&", "<&") and all(re.fullmatch(r"\d*-?", target) for target in targets):
            return []
        return [Redirect(kind=_WAYS.get(operator, "write"), target=target) for target in targets]

    def _heredoc(self, node: Node) -> str:
        body = next((child for child in node.children if child.type == "heredoc_body"), None)
        start = next((child for child in node.children if child.type == "heredoc_start"), None)
        if body is None or start is None:
            return ""
        begin = self._source.rfind(b"\n", 0, body.start_byte) + 1
        begin = max(begin, self._source.find(b"\n", start.end_byte) + 1)
        text = self._bytes(min(begin, body.start_byte), body.end_byte)
        if (mark := text.strip()) in self._work.lifted:
            self._work.taken.add(mark)
            return self._work.lifted[mark]
        if any(child.type == "<<-" for child in node.children):
            text = re.sub(r"(?m)^\t+", "", text)
        plain = any(mark in self._text(start) for mark in "'\"\\")
        return text if plain else self._expanded(text)

    def _expanded(self, text: str) -> str:
        """An unquoted heredoc: like a text in double quotes."""
        if "$" not in text and "`" not in text:
            return _unmarked(spelled.in_double_quotes(text)) if "\\" in text else text
        quoted = '"' + re.sub(r'(?<!\\)"', r"\"", text) + '"'
        walker = self.fresh(quoted)
        self._work.characters += len(quoted)
        if self._work.characters > MAX_TOTAL:
            return some("heredoc")
        found = first_of(self._work.parse(walker._source), "string")
        out = text if found is None else _unmarked(walker._string(found))
        self._gathered += walker._gathered
        return out


def _unmarked(text: str) -> str:
    return unquoted(text)


def first_of(node: Node | None, kind: str) -> Node | None:
    for _ in range(8):
        if node is None or node.type == kind:
            return node
        if not node.named_child_count:
            return None
        node = node.named_children[0]
    return None
