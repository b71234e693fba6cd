"""A first look at a text: which of many patterns may be found in it, told in a few passes and never wrongly denied.

Patterns in, numbers out; what is found, and where, the patterns themselves say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lockgate.policies.patterns import matching, re2

KEPT_COUNT = 3
"""What may come again more often is not counted: each count is a state of its own in an automaton."""
MAX_MEM = 64 << 20
"""For each set: its automaton begins anew in a quarter of it once that is full."""
_CLASS = r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]"
_COUNTS = re.compile(rf"\\Q.*?\\E|\\x\{{\w+\}}|\\.|{_CLASS}|\{{(\d+)(?:,(\d*))?\}}", re.DOTALL)
"""Counts, and what only looks like one: an escape, a class."""
_LOOP = re.compile(rb"\(\?:\[\\s[^\w\]]*\]\+\)|([\])wWsSdD.][*+])")
"""What may go on for long, but for what stands between two words."""
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_LETTERS = re.compile(rf"\\p\{{Lu?\}}|\\.|{_CLASS}", re.DOTALL)
"""Any letter, and what may hold one: an escape, a class."""


class FirstLook:
    """Patterns in sets, each of which is one automaton and one pass.

    An automaton of exact patterns has new states for nearly every new text, and building them is dear. So the patterns
    are made rough: they find at least as much, in a text of single bytes where "\xff" stands for all beyond ASCII.
    """

    def __init__(self, patterns: Sequence[str], *, sets: int = 1, ignore_case: bool = False) -> None:
        rougher = [rough(pattern) for pattern in patterns]
        parts = _parts(rougher, sets)
        self._sets = [(_matching([rougher[number] for number in part], ignore_case), part) for part in parts]

    def may_find(self, data: bytes) -> list[int]:
        """The numbers of the patterns that may be found; all others are not."""
        return [numbers[at] for match, numbers in self._sets for at in match(data)]


def rough(pattern: str) -> bytes:
    """A cheaper pattern that finds at least as much."""
    return single_bytes(_COUNTS.sub(_uncounted, pattern.replace(r"\p{Lu}", r"\p{L}")))


def single_bytes(pattern: str) -> bytes:
    """The pattern for texts of single bytes: the same for all that is ASCII. A table of all letters is dear to make."""
    return _BEYOND_ASCII.sub(r"\\xff", _LETTERS.sub(_few_letters, pattern)).encode()


def _few_letters(found: re.Match[str]) -> str:
    few = found[0].replace(r"\p{L}", r"A-Za-z\xff").replace(r"\p{Lu}", r"A-Z\xff")
    return few if found[0][0] == "[" or few == found[0] else f"[{few}]"


def _uncounted(found: re.Match[str]) -> str:
    least, most = found[1], found[1] if found[2] is None else found[2]
    if least is None or (most and int(most) <= KEPT_COUNT):
        return found[0]
    return "*" if int(least) == 0 else "+"


def _parts(patterns: Sequence[bytes], sets: int) -> list[list[int]]:
    """The numbers of the patterns that stand in one set.

    Loops of different patterns multiply states, so each set has about as many; those that begin alike have states in
    common. Patterns without any cost next to nothing together.
    """
    loops = [sum(1 for found in _LOOP.finditer(pattern) if found[1]) for pattern in patterns]
    numbers = sorted(range(len(patterns)), key=patterns.__getitem__)
    parts = [[number for number in numbers if not loops[number]]]
    share, met = sum(loops) / sets, 0
    for number in numbers if share else ():
        if loops[number]:
            if met >= share * (len(parts) - 1):
                parts.append([])
            parts[-1].append(number)
            met += loops[number]
    return list(filter(None, parts))


def _matching(patterns: Sequence[bytes], ignore_case: bool) -> Callable[[bytes], Sequence[int]]:
    options = re2.Options()
    options.encoding, options.log_errors = re2.Options.Encoding.LATIN1, False
    options.case_sensitive, options.max_mem = not ignore_case, MAX_MEM
    made = re2.Set.SearchSet(options)
    for pattern in patterns:
        made.Add(pattern)
    made.Compile()
    return matching(made)
