"""What is found in text does not depend on where the text was cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.events import NEW_BLOCK, BlockEnd, Event, MessageEnd, TextDelta, ThinkingDelta, ToolCall
from lockgate.policies.patterns import Finder, Found, Literal, Pattern
from lockgate.policies.window import PIECE_CHARS, TextWindow, Window, replace_finds

SETS: dict[str, Sequence[Finder]] = {
    "literal": [Literal("abab")],
    "overlapping literals": [Literal("aba"), Literal("babb"), Literal("ab")],
    "prefix listed later": [Literal("ab"), Literal("abab")],
    "prefix listed first": [Literal("abab"), Literal("ab")],
    "any case": [Literal("aBß", ignore_case=True), Literal("k", ignore_case=True)],
    "words": [Pattern(r"\bab+\b", window_chars=4)],
    "not words": [Pattern(r"\Bb", window_chars=1)],
    "ends": [Pattern(r"^a", window_chars=3), Pattern(r"b$", window_chars=3)],
    "lines": [Pattern(r"(?m)^a+", window_chars=3), Pattern(r"(?m)b$", window_chars=2)],
    "longer than its window": [Pattern(r"a.*b", window_chars=3)],
    "alternatives": [Pattern(r"ab*a|b", window_chars=4), Pattern("a$|ab", window_chars=2)],
    "lazy": [Pattern(r"a.*?b", window_chars=5), Literal("ba")],
    "mixed": [Literal("bb"), Pattern(r"b+a", window_chars=6), Literal("a a")],
    "may be empty": [Pattern(r"a*", window_chars=3)],
}


def instead(number: int, found: Found) -> str:
    return f"<{number}:{found.groups[0]}>"


def cut(text: str, places: Sequence[int]) -> list[str]:
    return [text[a:b] for a, b in pairwise(sorted({0, len(text), *(place % (len(text) + 1) for place in places)}))]


@pytest.mark.parametrize("finders", SETS.values(), ids=SETS)
@given(text=st.text("aabbAB ß\nKk", max_size=40), places=st.lists(st.integers(0, 40)))
def test_every_cut_gives_the_same(finders: Sequence[Finder], text: str, places: list[int]):
    window = Window(finders, instead)
    streamed = "".join(window.receive_text(piece) for piece in cut(text, places)) + window.end()
    assert streamed == replace_finds(finders, instead, text)
    by_character = Window(finders, instead)
    assert "".join(map(by_character.receive_text, text)) + by_character.end() == streamed
    assert by_character.finds == window.finds


@pytest.mark.parametrize("finders", SETS.values(), ids=SETS)
@given(text=st.text("ab \n", max_size=60))
def test_never_holds_more_than_the_longest_find(finders: Sequence[Finder], text: str):
    window, out = Window(finders, lambda _, found: found.groups[0]), 0
    longest = max(finder.window_chars for finder in finders)
    for number, letter in enumerate(text, 1):
        out += len(window.receive_text(letter))
        assert number - out <= longest
    assert out + len(window.end()) == len(text)


@given(text=st.text("ab", max_size=40))
def test_literals_agree_with_the_standard_library(text: str):
    expected = re.sub("abab|ba", lambda found: f"<{['abab', 'ba'].index(found[0])}:{found[0]}>", text)
    assert replace_finds([Literal("abab"), Literal("ba")], instead, text) == expected


@pytest.mark.parametrize(
    ("finders", "text", "expected"),
    [
        ([Literal("ab"), Literal("abab")], "ababx", "<0:ab><0:ab>x"),
        ([Literal("abab"), Literal("ab")], "ababx", "<0:abab>x"),
        ([Pattern(r"a.*b", window_chars=3)], "a12345ba1b", "a12345b<0:a1b>"),
        ([Pattern(r"\bcat\b")], "concat cat cats", "concat <0:cat> cats"),
        ([Pattern(r"x$")], "x x", "x <0:x>"),
        ([Literal("PASS", ignore_case=True)], "Pass paSS", "<0:Pass> <0:paSS>"),
        ([Pattern("é+|😀")], "aéé😀b", "a<0:éé><0:😀>b"),
        ([Pattern("b")], "\ud800b", "\ud800<0:b>"),
    ],
)
def test_finds(finders: Sequence[Finder], text: str, expected: str):
    assert replace_finds(finders, instead, text) == expected


def test_a_long_text_is_taken_in_pieces_without_losing_a_find():
    text = ("x" * (PIECE_CHARS - 1) + "needle") * 5
    assert replace_finds([Pattern("needle")], lambda *_: "!", text) == ("x" * (PIECE_CHARS - 1) + "!") * 5


class Marking(TextWindow):
    def __init__(self, *finders: Finder) -> None:
        super().__init__(None)
        self.finders = finders

    def instead(self, number: int, found: Found) -> str:
        return f"[{found.groups[0]}]"


async def fold(policy: TextWindow, events: Sequence[Event]) -> list[list[Event]]:
    return [list(await policy.on_event(event, None)) for event in events]  # pyright: ignore[reportArgumentType]


def text(words: str, block: int = 0) -> TextDelta:
    return TextDelta(block=block, text=words)


CALL = ToolCall(block=7, id="c", name="Bash", arguments="{}")
END = MessageEnd(stop_reason="end_turn")
B0, B1 = BlockEnd(block=0), BlockEnd(block=1)


@pytest.mark.parametrize(
    ("given_events", "expected"),
    [
        ([text("no "), text("match"), B0, END], [[text("no ")], [text("match")], [B0], [END]]),
        ([text("a se"), text("cret b"), B0], [[text("a ")], [text("[secret] b")], [B0]]),
        ([text("a se"), text("parate"), B0], [[text("a ")], [text("separate")], [B0]]),
        ([text("a se"), B0, END], [[text("a ")], [text("se"), B0], [END]]),
        ([text("se"), text("se", 1), text("cret"), B0, text("cret", 1), B1],
         [[], [], [text("[secret]")], [B0], [text("[secret]", 1)], [B1]]),
        ([text("se"), CALL, text("cret"), B0], [[], [CALL], [text("[secret]")], [B0]]),
        ([text("se"), END], [[], [text("se"), END]]),
        ([text("the secret", NEW_BLOCK)], [[text("the [secret]", NEW_BLOCK)]]),
        ([ThinkingDelta(block=0, text="secret")], [[ThinkingDelta(block=0, text="secret")]]),
    ],
)  # fmt: skip
async def test_events(given_events: list[Event], expected: list[list[Event]]):
    assert await fold(Marking(Literal("secret")), given_events) == expected


async def test_text_in_which_nothing_is_found_is_the_same_object():
    events = [text("nothing of it, "), text("s is no beginning"), B0, CALL, END]
    out = await fold(Marking(Literal("secret")), events)
    assert all(len(some) == 1 and some[0] is event for some, event in zip(out, events, strict=True))


async def test_without_finders_all_text_passes():
    given_text = text("secret")
    assert await fold(Marking(), [given_text]) == [[given_text]]


async def test_what_is_held_goes_out_at_the_end():
    policy = Marking(Pattern("x"))
    assert await fold(policy, [text("held")]) == [[]]
    assert list(await policy.on_end(None)) == [text("held")]  # pyright: ignore[reportArgumentType]
    assert await fold(policy, [END]) == [[END]]


@pytest.mark.parametrize(
    ("event", "expected"),
    [(B0, [text("se"), B0]), (text("x"), [text("se"), text("x")]), (END, [text("se"), text("ge", 1), END])],
)
async def test_what_is_held_is_let_go_in_order_where_a_search_failed(event: Event, expected: list[Event]):
    policy = Marking(Literal("secret"), Literal("get"))
    await fold(policy, [text("se"), text("ge", 1)])
    assert list(policy.let_go(event)) == expected
    assert list(policy.let_go(event)) == [event]
