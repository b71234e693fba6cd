"""Commands of several lines that the grammar has read as one, told apart. Pure functions of trees and texts.

After a text of several lines the grammar may take the end of a line for a blank: `uniq -c`, and `rm x` on the next
line, are then one command, without a word of an error. A shell ends a command at the end of its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from lockgate.policies.shell.work import Node, Work

ROUNDS = 4
"""So often a text is parsed anew."""


def parsed(work: Work, source: bytes) -> tuple[Node | None, bytes]:
    """The text's tree, None where parsing takes too long; and the text as it was parsed, with `;` where lines end."""
    root = work.parse(source)
    for _ in range(ROUNDS):
        if root is None or b"\n" not in source or not (ends := [*_missed(root, source)]):
            break
        for end in reversed(ends):
            source = source[:end] + b";" + source[end:]
        root = work.parse(source)
    return root, source


def _missed(root: Node, source: bytes) -> Iterator[int]:
    """Where a line ends between two words of what was read as one command."""
    seen = set[int]()
    for node in _commands().captures(root).get("command", ()):
        if node.start_point[0] == node.end_point[0]:
            continue
        for before, after in pairwise(node.children):
            end = source.find(b"\n", before.end_byte, after.start_byte)
            if end < 0 or end in seen or source[end - 1 : end] == b"\\":
                continue
            line = source.rfind(b"\n", 0, end) + 1
            if b"<<" not in source[line:end]:  # what follows is a heredoc's text
                seen.add(end)
    yield from sorted(seen)


@cache
def _commands() -> Any:
    """Finds the commands in a tree."""
    import tree_sitter_bash
    from tree_sitter import Language, Query, QueryCursor

    language: object = tree_sitter_bash.language()
    return QueryCursor(Query(Language(language), "(command) @command"))
