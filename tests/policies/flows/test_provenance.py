"""Which text came from which: no common stretch is missed, and none is made up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockgate.policies.flows.provenance import MAX_TEXT, readings, shown_values, spans, squeezed, values_in

LETTERS = st.text(alphabet="abcdefghij0123456789-/.", min_size=0, max_size=200)
SHARED = st.text(alphabet="abcdefghij0123456789-/.", min_size=24, max_size=60).filter(lambda text: len(set(text)) > 5)


@given(LETTERS, LETTERS, SHARED, LETTERS, LETTERS)
def test_a_common_stretch_is_found(before: str, after: str, shared: str, left: str, right: str):
    result, argument = before + shared + after, left + shared + right
    found = spans(result, argument, 20)
    assert any(shared in span.text or len(span.text) >= 20 for span in found)
    for span in found:
        assert span.text in argument
        assert result[span.start : span.start + len(span.text)] == span.text


@given(LETTERS, LETTERS)
def test_nothing_shorter_is_told(result: str, argument: str):
    assert all(len(span.text) >= 20 for span in spans(result, argument, 20))


@given(LETTERS, SHARED)
def test_long_arguments_are_looked_at_the_other_way_round(result: str, shared: str):
    argument = "#" * 5_000 + shared + "#" * 5_000
    assert any(shared in span.text for span in spans(result + shared, argument, 20))


def test_texts_are_bounded_and_white_space_is_none():
    assert squeezed("a b\n\tc\u200bd") == "abcd"
    assert len(squeezed("x" * 1_000_000, MAX_TEXT)) == MAX_TEXT
    assert spans("-" * 500, "-" * 500, 20) == []


def test_encodings():
    assert "heron-42-Quarz" in list(readings("aGVyb24tNDItUXVhcno="))
    assert "heron-42-Quarz" in list(readings("6865726f6e2d34322d517561727a"))
    assert list(values_in("token = get_token(x)\npassword: heron-42-Quarz\nname: value1234567")) == ["heron-42-quarz"]


SAID = [
    "password",
    "api_key",
    "token",
    ": ",
    "=",
    " = ",
    '"',
    "\n",
    "://user:heron42Quarz@host",
    "Xq7Zr2Lm9Tn4",
    "sk-live-1a2b3c4d5e6f7g",
]


@given(st.lists(st.sampled_from(SAID), max_size=20).map("".join))
def test_the_same_is_shown_beside_a_letter_beyond_ascii(text: str):
    assert list(shown_values(text, secret=False)) == list(shown_values(f"{text}\n\u00e9", secret=False))
