"""A first look never denies what a pattern finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.policies import injection_signs, secret_after, secret_context, secret_forms
from lockgate.policies.first_look import FirstLook, rough, single_bytes
from lockgate.policies.patterns import compile_bytes, compile_pattern
from lockgate.policies.secret_rules import OWN_RULES, Prefilter, load_rules
from lockgate.policies.spans import Span
from tests.datasets.reading import rows

RULES = load_rules(OWN_RULES)
PREFILTER = Prefilter(RULES)
FORMS = secret_forms._FORMS  # pyright: ignore[reportPrivateUsage]
SIGNS = injection_signs._PATTERNS  # pyright: ignore[reportPrivateUsage]
TEXTS = [row["text"] for name in ("secrets", "injections", "links") for row in rows(name)]
PIECES = sorted({word for text in TEXTS for word in text.split()[:40]})
MADE = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=30).map(" ".join)


def by_every_form(data: bytes) -> list[Span]:
    return list(secret_forms._by_forms(data, set(FORMS)))  # pyright: ignore[reportPrivateUsage]


def rules_in(data: bytes) -> set[str]:
    return {rule.id for rule in RULES if any(word.encode() in data.lower() for word in rule.keywords or ("",))} & {
        rule.id for rule in RULES if rule.regex.search(data)
    }


def assert_nothing_is_lost(text: str) -> None:
    data = text.encode("ascii", "replace")
    assert list(secret_forms.secrets_by_form(data)) == by_every_form(data)
    assert rules_in(data) <= {rule.id for rule in PREFILTER.rules(data)}


@pytest.mark.parametrize("part", range(8))
def test_nothing_is_lost_in_the_data_sets(part: int):
    for text in TEXTS[part::8]:
        assert_nothing_is_lost(text)
    assert_nothing_is_lost("\n".join(TEXTS[part::32]))


@given(MADE)
def test_nothing_is_lost_in_any_text(text: str):
    assert_nothing_is_lost(text)


@pytest.mark.parametrize("part", range(8))
def test_no_sign_is_lost_and_ascii_is_read_alike(part: int):
    """Every pattern over a long text, which joins what no single text holds: as a text, and as its bytes."""
    for text in ("\n".join(TEXTS[part::64])[:60_000], "\n".join(filter(str.isascii, TEXTS[part::64]))[:60_000]):
        met = set(injection_signs._met(text))  # pyright: ignore[reportPrivateUsage]
        for number in range(len(SIGNS)):
            pattern = injection_signs._compiled(number)  # pyright: ignore[reportPrivateUsage]
            found = [match.span() for match in pattern.finditer(text)]
            assert not found or number in met
            if text.isascii() and found:
                plain = injection_signs._compiled(number, is_ascii=True)  # pyright: ignore[reportPrivateUsage]
                assert [match.span() for match in plain.finditer(text.encode())] == found


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"a{4,9}b", "aaaaab"),
        (r"\x{41}{5}", "AAAAA"),
        (r"[{5,9}]x", "9x"),
        (r"\Qa{5}\E", "a{5}"),
        (r"a\{5\}", "a{5}"),
        (r"[]{7}]b", "7b"),
        (r"(?:ab){2,3}c", "ababc"),
        (r"[^\]{9}]+z", "az"),
        (r"[[:digit:]\p{L}]+z", "1az"),
    ],
)
def test_only_counts_are_made_rough(pattern: str, text: str):
    assert compile_bytes(pattern).search(text.encode())
    assert FirstLook([pattern]).may_find(text.encode()) == [0]


def test_what_is_counted_by_few_stays():
    assert rough(r"a{2}b{0,3}c{4}d{0,9}e{2,}") == rb"a{2}b{0,3}c+d*e+"
    assert FirstLook([r"a{2}b", "zzz"]).may_find(b"ab") == []


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
def test_letters_of_ascii_are_the_same_without_their_tables(text: str):
    for pattern in (r"\p{L}+", r"[\p{L}\x20]+", r"x\p{Lu}\p{L}*", r"\[\p{L}\]", r"[^\p{L}]+", r"\\p{L}|[\]\p{L}]"):
        every = compile_pattern(pattern, ignore_case=True).finditer(text)
        few = compile_bytes(f"(?i){single_bytes(pattern).decode()}").finditer(text.encode())
        assert [match.span() for match in few] == [match.span() for match in every]


PLAIN = secret_context._PLAIN  # pyright: ignore[reportPrivateUsage]
AFTER = secret_after._AFTER  # pyright: ignore[reportPrivateUsage]
CODE = st.lists(st.sampled_from([*"=:(.\t\n\r\f_", " ", "next", "items", "is", "Aa", "a" * 15, "b" * 16]), max_size=9)


@given(CODE.map("".join))
def test_a_plain_value_is_seen_as_by_the_library_for_linear_time(text: str):
    data = text.encode()
    found = compile_bytes(f"^(?:{PLAIN.pattern.decode()})").search(data)
    assert (PLAIN.match(data) or [None])[0] == (found and found.group())


@pytest.mark.parametrize("part", range(4))
def test_a_find_without_groups_stands_where_the_one_with_groups_does(part: int):
    data = "\n".join(TEXTS[part::16]).encode("ascii", "replace")
    places = compile_bytes(AFTER.pattern.decode(), groups=False)
    found = [(match.span(), match.groups()) for match in AFTER.finditer(data)]
    again = [AFTER.match(data, place.start()) for place in places.finditer(data)]
    assert found == [(match.span(), match.groups()) for match in again]


def test_every_pattern_stands_in_one_set():
    look = injection_signs._look()  # pyright: ignore[reportPrivateUsage]
    numbers = sorted(number for _, part in look._sets for number in part)  # pyright: ignore[reportPrivateUsage]
    assert numbers == list(range(len(SIGNS)))
