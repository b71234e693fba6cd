from __future__ import annotations

import pytest

from lockgate.errors import Error
from lockgate.storage.words import (
    PIECE_CHARACTERS,
    Excerpt,
    Term,
    excerpt,
    fts5_query,
    neighbours,
    pieces,
    runs,
    terms,
    tsquery,
    words,
)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("rm", [Term(("rm",))]),
        ("rm -rf", [Term(("rm",)), Term(("rf",))]),
        ('"rm -rf" now', [Term(("rm", "rf")), Term(("now",))]),
        ("/etc/passwd", [Term(("etc", "passwd"))]),
        ("snake_case", [Term(("snake", "case"))]),
        ("pass*", [Term(("pass",), prefix=True)]),
        ('"open the pass*"', [Term(("open", "the", "pass"), prefix=True)]),
        ('"open the pass"*', [Term(("open", "the", "pass"), prefix=True)]),
        ('"open the" pass*', [Term(("open", "the")), Term(("pass",), prefix=True)]),
        ('Grüße "unclosed', [Term(("Grüße",)), Term(("unclosed",))]),
        (
            "AND OR NOT NEAR(a b)",
            [Term((word,)) for word in ("AND", "OR", "NOT")] + [Term(("NEAR", "a")), Term(("b",))],
        ),
    ],
)
def test_a_search_is_read(search: str, found: list[Term]) -> None:
    assert list(terms(search)) == found


@pytest.mark.parametrize("search", ["", "  ", "*", '""', "- & | !", "\x00"])
def test_a_search_without_a_word_is_refused(search: str) -> None:
    with pytest.raises(Error, match="has no word in it"):
        terms(search)


def test_queries_hold_nothing_but_quoted_words() -> None:
    search = terms("it's \"a b\" c* '; DROP")
    assert fts5_query(search) == '"it s" AND "a b" AND "c" * AND "DROP"'
    assert tsquery(search) == "'it' & 's' & 'a' & 'b' & 'drop'"
    assert list(runs(search)) == [" it s ", " a b ", " c", " drop "]
    assert list(neighbours(search)) == [" it s ", " a b "]


@pytest.mark.parametrize(
    ("search", "asked"),
    [
        ("needle w*", "'needle'"),
        ('"needle we"*', "'needle'"),
        ("needle wor*", "'needle' & 'wor':*"),
        ("w* o*", "'w':* & 'o':*"),
        ('"w w*"', "'w'"),
    ],
)
def test_the_index_is_not_asked_for_what_most_texts_have(search: str, asked: str) -> None:
    assert tsquery(terms(search)) == asked


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("one two", []),
        ('"One two THREE" it\'s', [" one two three ", " it s "]),
        ('"one two th*"', [" one two "]),
        ('"one tw*"', []),
        ('"one two*"', [" one two "]),
        ('"one two thr*"', [" one two thr "]),
        (f'"one {"x" * 201}*"', [f" one {'x' * 200}- "]),
    ],
)
def test_neighbours_are_known_by_how_the_second_begins(search: str, found: list[str]) -> None:
    assert list(neighbours(terms(search))) == found


@pytest.mark.parametrize("size", [0, 1, PIECE_CHARACTERS, PIECE_CHARACTERS + 1, 5 * PIECE_CHARACTERS])
@pytest.mark.parametrize("letter", ["x", "x "])
def test_pieces_are_the_text(letter: str, size: int) -> None:
    text = (letter * size)[:size]
    found = list(pieces(text))
    assert "".join(found) == text
    assert all(len(piece) <= PIECE_CHARACTERS for piece in found)
    assert letter == "x" or all(piece.endswith(" ") for piece in found[:-1])


def test_words_are_what_stands_between_gaps() -> None:
    found = words(f"It's /a/b_c.txt\x00 Grüße {'X' * 201} {'y' * 200} 日本")
    assert found == f" it s a b c txt grüße {'x' * 200}- {'y' * 200} 日本 "


@pytest.mark.parametrize(
    ("text", "search", "found"),
    [
        ("say touch it", "touch", ("say ", "touch", " it")),
        ("untouched, then Touch!", "touch", ("untouched, then ", "Touch", "!")),
        ("rm  -rf /", '"rm rf"', ("", "rm  -rf", " /")),
        ("the password is", "pass*", ("the ", "pass", "word is")),
        ("a b " * 50 + "long " + "c d " * 50, "a long", ("…b a b a b ", "long", " c d c d c…")),
        ("nothing of it", "x", ("", "", "nothing of…")),
    ],
)
def test_an_excerpt_is_the_place_of_the_longest_term(text: str, search: str, found: tuple[str, str, str]) -> None:
    before, hit, after = found
    assert excerpt(text, terms(search), context=20 if len(text) < 30 and hit else 10) == Excerpt(
        before=before, hit=hit, after=after
    )
