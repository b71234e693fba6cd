"""Patterns that operators give, and what is said about wrong ones."""

from __future__ import annotations

import pytest

from lockgate.policies.patterns import Literal, Pattern, compile_pattern, finds


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("a(b", "the pattern 'a(b' is not RE2: missing ): a(b, at character 4"),
        ("ab[z", "the pattern 'ab[z' is not RE2: missing ]: [z, at character 3"),
        (
            "x(?=y)",
            "the pattern 'x(?=y)' is not RE2: invalid perl operator: (?=, at character 2; "
            "RE2 has neither lookaround nor backreferences",
        ),
        (
            r"(a)\1",
            r"the pattern '(a)\\1' is not RE2: invalid escape sequence: \1, at character 4; "
            "RE2 has neither lookaround nor backreferences",
        ),
        ("a**", "the pattern 'a**' is not RE2: bad repetition operator: **, at character 2"),
        (
            "a" * 300 + "(b",
            f"the pattern '{'a' * 200} …' is not RE2: missing ): {'a' * 189} …, at character 303",
        ),
        ("\ud800", "the pattern '\\ud800' holds a character that UTF-8 cannot write"),
    ],
)
def test_wrong_patterns(pattern: str, sentence: str, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(ValueError, match="the pattern") as caught:
        compile_pattern(pattern)
    assert str(caught.value) == sentence
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\btouch\b", "x; touch y", True),
        (r"\btouch\b", "untouched", False),
        ("^b", "a\nb", False),
        ("�", "\ud800", True),
    ],
)
def test_finds(pattern: str, text: str, found: bool):
    assert finds(pattern, text) is found


@pytest.mark.parametrize(
    ("literal", "text", "start", "place"),
    [
        (Literal("abc"), "xab", 0, 1),
        (Literal("abc"), "xab", 2, 3),
        (Literal("aab"), "aaa", 0, 1),
        (Literal("abc"), "xyz", 0, 3),
        (Literal("ABC", ignore_case=True), "xaB", 0, 1),
        (Literal("K", ignore_case=True), "K", 0, 1),
    ],
)
def test_where_a_literal_may_begin(literal: Literal, text: str, start: int, place: int):
    assert literal.open_from(text, start) == place


def test_groups_that_took_no_part_are_empty():
    found = Pattern("(a)|(b)").find("xb", 0)
    assert found is not None
    assert found.groups == ("b", "", "b")
