"""What can be made of a text that is no good shell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockgate.policies.shell import words as spelled
from lockgate.policies.shell.model import Redirect
from lockgate.policies.shell.work import Node


def errors_in(root: Node) -> Iterator[Node]:
    stack, seen = [root], 0
    while stack and seen < 20_000:
        node = stack.pop()
        seen += 1
        if node.type == "ERROR" or node.is_missing:
            yield node
        elif node.has_error:
            stack.extend(reversed(node.children))


_WAYS: Mapping[str, Any] = {">>": "append", "&>": "write", "2>": "write", ">": "write", "<<<": "text", "<": "read"}


def redirected(words: Sequence[str]) -> tuple[list[str], list[Redirect]]:
    """The words of a command without its redirections, and those."""
    plain, redirects, rest = list[str](), list[Redirect](), iter(words)
    for word in rest:
        way = next((way for way in _WAYS if word.startswith(way)), "")
        if not way or (plain and way == "<" and word[:2] == "<<" and word[:3] != "<<<"):
            plain.append(word)
            continue
        target = word[len(way) :] or next(rest, "")
        text = _WAYS[way] == "text"
        redirects.append(Redirect(kind=_WAYS[way], target="" if text else target, text=f"{target}\n" if text else None))
    return plain, redirects


def rough_commands(text: str) -> Iterator[list[str]]:
    """The commands of a text that is no good shell: words between separators, quotes taken as far as they close."""
    words, word, quote, some_word = list[str](), "", "", False
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if quote:
            if letter == quote:
                quote = ""
            else:
                word += letter
        elif letter == "\\" and at < len(text):
            word, at, some_word = word + text[at], at + 1, True
        elif letter in "'\"" and letter in text[at:]:
            quote, some_word = letter, True
        elif letter in "'\"":
            continue
        elif letter in " \t":
            words, word, some_word = [*words, *(spelled.finished(word) if word or some_word else [])], "", False
        elif letter in "\n;|&()`":
            words = [*words, *(spelled.finished(word) if word or some_word else [])]
            if words:
                yield words
            words, word, some_word = [], "", False
        else:
            word += letter
            some_word = True
    words = [*words, *(spelled.finished(word) if word or some_word else [])]
    if words:
        yield words
