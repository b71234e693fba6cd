"""What a streamed text is glanced at for: nothing that the whole text is searched for is passed over, at any cut."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.policies import plain_text, secret_after, secret_keys, secret_told
from lockgate.policies.secret_known import HEAD_CHARS, KnownSecrets
from lockgate.policies.secret_rules import own_rules
from lockgate.policies.secret_scan import SecretDetector, _longest, last_white  # pyright: ignore[reportPrivateUsage]
from lockgate.policies.spans import Detector, Span, SpanWindow
from tests.datasets.reading import rows

TOKEN = "".join(random.Random(11).choices("abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPRSTUVWXYZ23456789", k=32))
OWN = ("sk-ant-api03-" + "Xq7Zr2Lm9Tn4" * 3, "river" + "stone" + "lamp" + "quiet")
DETECTOR = SecretDetector(own_rules(), known=KnownSecrets(OWN))
FORMS = sorted(form for form in KnownSecrets(OWN).forms if len(form) < 60)
TEXTS = [str(row["text"]) for name in ("secrets", "injections", "links") for row in rows(name)]
WORDS = sorted({word for text in TEXTS for word in text.split(" ")[:60]})
NEAR = [
    *secret_after.BETWEEN, "echo", "(my", "password", "token", "phrase", "seed", "the", "is", "use", "as", "key:",
    "-----BEGIN", "---- BEGIN", "Private-Lines:", "password:", "password is", "— ", "为", "é", "__", "_x_", "a.b", "?",
    "app password", "passphrase:", "passphrase", "PASSWORD=", 'x@gmail.com",', "'AUTH_KEY',", "define(", "'", "amber",
    "otter", "velvet-otter-lamp", "mzlq", "wqrt", "kvzp", "xbnd", "from", "->", "{", "Password", "User", "  ",
    TOKEN, TOKEN[:16], "Wal" + "nut@58" + "13!x", *OWN, OWN[1][::-1], " ".join(OWN[0]), "-".join(OWN[1]), *FORMS,
]  # fmt: skip
SPACE = st.sampled_from((" ", " ", " ", " ", "  ", "\n", "\t", "\r\n", ", ", "\x0b", "\u3000"))
PIECE = st.sampled_from(NEAR) | st.sampled_from(WORDS) | st.text(max_size=8)
MADE = st.lists(st.tuples(PIECE, SPACE), min_size=1, max_size=24).map(lambda parts: "".join(map("".join, parts)))
SHORT = st.text("aAbß_-'/.?,:é\n1*`\"( \t\r", max_size=24) | st.text("abB. '_\n/", max_size=30)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Searched(Detector):
    """The same detector, which searches all that is settled and glances at nothing."""

    context_chars = DETECTOR.context_chars

    def settled(self, text: str, start: int) -> int:
        return DETECTOR.settled(text, start)

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        return DETECTOR.spans(text, start, end)


def streamed(detector: Detector, pieces: Sequence[str]) -> list[str]:
    window = SpanWindow(detector, lambda kind, _: f"<{kind}>")
    return [*map(window.receive_text, pieces), window.end()]


def cut(text: str, places: Sequence[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@PATIENT
@given(MADE, st.lists(st.integers(0, 10_000), max_size=12))
def test_each_piece_gives_what_a_whole_search_gives_at_the_same_moment(text: str, places: list[int]):
    pieces = cut(text, places)
    assert streamed(DETECTOR, pieces) == streamed(Searched(), pieces)
    assert streamed(DETECTOR, [*text]) == streamed(Searched(), [*text])


def test_each_text_of_the_data_set_gives_the_same_in_pieces():
    for number, row in enumerate(rows("secrets")):
        text = str(row["text"])[:1_500]
        for size in (1 + number % 5, 18):
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            assert streamed(DETECTOR, pieces) == streamed(Searched(), pieces)


@PATIENT
@given(MADE | SHORT)
def test_a_glance_denies_nothing_that_is_there(text: str):
    bound = last_white(text, 0) + 1
    if not 0 < bound <= plain_text.MAX_CHARS:
        return
    met = plain_text.met(text.encode("latin-1", "replace")[:bound])
    assert plain_text.VALUE in met or _longest(text, 0, bound) < 6
    assert plain_text.WAITS in met or secret_after.unfinished(text, 0) >= bound
    assert plain_text.ECHO in met or secret_told.unfinished(text, 0) >= bound
    assert plain_text.KEY in met or not 0 <= secret_keys.begins(text, 0) < bound


@PATIENT
@given(MADE, st.integers(0, 3))
def test_a_known_secret_that_may_stand_or_begin_there_is_not_passed_over(text: str, rest: int):
    known = KnownSecrets(OWN)
    text = text[: len(text) - rest * HEAD_CHARS] or text
    bound = last_white(text, 0) + 1
    if bound and not known.may_matter(text.encode("latin-1", "replace"), bound):
        found, open_from = known.spans(text, 0)
        assert open_from >= bound
        assert all(span.start >= bound for span in found)
