"""Long heredocs, taken out of a text before it is parsed: what they hold is a text. Pure functions of texts."""

from __future__ import annotations

import re

_START = re.compile(r"<<[ \t]*(['\"]?)([A-Za-z_]\w{0,100})\1")
_LONG = 4_000
"""A shorter heredoc stays."""
_MISSES = 20
"""After so many that do not end, no more are looked for."""


def lift(text: str) -> tuple[str, dict[str, str]]:
    """The text with a mark for each long heredoc, and what the marks stand for.

    It is a guess: `<<` may stand in quotes. Whoever reads the text has to find each mark where a heredoc's text stands.
    """
    out, lifted, at, misses = list[str](), dict[str, str](), 0, 0
    while misses < _MISSES and (start := _START.search(text, at)) is not None:
        begin = text.find("\n", start.end()) + 1
        if not begin:
            break
        end = text.find(f"\n{start[2]}\n", begin - 1)
        if end < 0 and text.endswith(f"\n{start[2]}"):
            end = len(text) - len(start[2]) - 1
        misses += end < 0
        body = text[begin : end + 1] if end >= 0 else ""
        out.append(text[at:begin])
        at = begin
        if len(body) > _LONG and (start[1] or not any(letter in body for letter in "$`\\")):
            mark = f"\ue00f{len(lifted)}"
            lifted[mark] = body
            out.append(f"{mark}\n")
            at = end + 1
    return "".join((*out, text[at:])), lifted
