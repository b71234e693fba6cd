"""Words that stand next to each other are found, by the index and by looking through the newest texts alike."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.storage import hits, queries, schema, searching
from lockgate.storage.answers import Filter
from lockgate.storage.queries import Queries
from tests.storage.logs import remember
from tests.storage.records import START
from tests.storage.test_search import exchange, text

LONG = "x" * 201
BY_INDEX = "SET LOCAL enable_seqscan = off"
"""PostgreSQL would look through a small table."""


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[Queries]:
    schema.upgrade(database_url)
    async with Queries(database_url) as log:
        yield log


CASES = [
    ("first, (second)...\n\tthird", '"first second third"', True),
    ("first_second-third", '"second third"', True),
    ("The END of It", '"the end of it"', True),
    ("the end of it", '"THE END"', True),
    ("ÄRGER Über ÉTÉ", '"ärger über été"', True),
    ("one two", '"two one"', False),
    ("one, two; one", '"two one"', True),
    ("begin middle end", '"begin middle"', True),
    ("begin middle end", '"middle end"', True),
    ("begin middle end", '"end begin"', False),
    ("ha ha ha", '"ha ha ha"', True),
    ("ha ha", '"ha ha ha"', False),
    ("ha he ha", '"ha ha"', False),
    ("東京 大阪、京都", '"大阪 京都"', True),
    ("東京 大阪、京都", '"東京 京都"', False),
    ("東京大阪", '"東京 大阪"', False),
    ("東京大阪 京都", '"東京* 京都"', False),
    ("สวัสด 日本 ok", '"日本 ok"', True),
    (f"a {LONG} b", '"a b"', False),
    (f"a {LONG} b", f'"a {LONG} b"', True),
    (f"a {LONG} b", f'"{LONG} b"', True),
    (f"a {LONG} b", f'"a {LONG[:-1]}"', False),
    (f"a {LONG} b", '"a xxx*"', True),
    (f"a {LONG} b", f'"a {LONG}*"', True),
    (f"a {LONG}y b", f'"a {LONG}z b"', None),
    ("open the password", '"open the pass*"', True),
    ("open the window, pass", '"open the pass*"', False),
    ("open password", '"open pass*"', True),
    ("one", '"one one"', False),
    ("begin of text end of", '"end of begin"', False),
]
"""What is said, what is searched for, whether it is found. None: of a long word, PostgreSQL knows the beginning."""


@pytest.mark.parametrize("by_index", [True, False])
async def test_a_phrase_stands_in_a_text(
    log: Queries, database_url: str, monkeypatch: pytest.MonkeyPatch, by_index: bool
) -> None:
    if by_index:
        monkeypatch.setattr(queries, "PLACES_IN_MEMORY", BY_INDEX)
    said = {one: exchange(one, text("and so on")) for one, _, _ in CASES}
    await remember(database_url, [record for records in said.values() for record in records])
    for one, search, found in CASES:
        hit = {one.exchange.id for one in await log.search(search)}
        wanted = not database_url.startswith("sqlite") if found is None else found
        assert (said[one][0].id in hit) == wanted, (one, search)


async def test_no_phrase_goes_over_the_border_of_a_text(log: Queries, database_url: str) -> None:
    await remember(database_url, exchange("begin of text end of", text("begin and so"), text("end")))
    for search in ('"end of begin"', '"end begin"', '"text begin"', '"so end"'):
        assert await log.search(search) == []


WORDS = ("a", "A", "b", "the", "The", "them", "then", "é", "É", "7", "日本", "日", "Я", LONG)
GAPS = (" ", "  ", "_", "-", ", ", ".\n", "'", "。", " – ", "\x00", "\x1a", "\ud8ab")
TEXTS = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), min_size=1, max_size=8)
PHRASES = st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), st.sampled_from(["", "*"]))


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=6), phrases=st.lists(PHRASES, min_size=1, max_size=6))
def test_what_is_found_is_what_a_scan_finds(
    database_url: str, texts: Sequence[Sequence[tuple[str, str]]], phrases: Sequence[tuple[Sequence[str], str]]
) -> None:
    schema.upgrade(database_url)
    asyncio.run(_compare(database_url, ["".join(map("".join, one)) for one in texts], phrases))


async def _compare(url: str, texts: Sequence[str], phrases: Sequence[tuple[Sequence[str], str]]) -> None:
    said = {(records := exchange(one, text("!")))[0].id: (one, records) for one in texts}
    await remember(url, [record for _, records in said.values() for record in records])
    async with Queries(url) as log:
        for phrase, star in phrases:
            found = {hit.exchange.id for hit in await log.search(f'"{" ".join(phrase)}"{star}', limit=10_000)}
            wanted = {id for id, (one, _) in said.items() if _stands_in(phrase, one, bool(star))}
            assert found & said.keys() == wanted


def _stands_in(phrase: Sequence[str], said: str, begins: bool) -> bool:
    words, (*wanted, last) = re.findall(r"[^\W_]+", said.lower()), [word.lower() for word in phrase]
    places = (start for start in range(len(words) - len(wanted)) if words[start : start + len(wanted)] == wanted)
    found = [words[start + len(wanted)] for start in places]
    return any(word.startswith(last) if begins else word == last for word in found)


async def _marked(url: str, *texts: str) -> list[str]:
    """Exchanges of different projects; gives their ids, the oldest first."""
    ids: list[str] = []
    for number, one in enumerate(texts):
        changes = {"project": f"p{number % 2}", "started_at": START + timedelta(minutes=number)}
        records = exchange(one, text("!"), **changes)
        await remember(url, records)
        ids.append(records[0].id)
    return ids


async def test_what_is_often_said_is_found_in_the_newest(
    log: Queries, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rank_three(monkeypatch, sample=5)
    ids = await _marked(database_url, *["so often"] * 9, "so often now")
    for search, where, found in (
        ("often", Filter(), [7, 8, 9]),
        ('"so often"', Filter(), [7, 8, 9]),
        ("often", Filter(project="p0"), [4, 6, 8]),
        ("often", Filter(project="p0", until=START + timedelta(minutes=5)), [0, 2, 4]),
        ("often", Filter(until=START + timedelta(minutes=2)), [0, 1]),
        ("often", Filter(project="none"), []),
        ("now", Filter(), [9]),
        ('"often so"', Filter(), []),
    ):
        hit = {one.exchange.id for one in await log.search(search, where=where)}
        assert sorted(ids.index(id) for id in hit) == found, (search, where)


async def test_what_the_newest_have_too_little_of_is_found_by_the_index(
    log: Queries, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rank_three(monkeypatch, sample=2)
    await _marked(database_url, "first so often", "so often", *["hay"] * 20, "so often")
    for search, found in (("often", 3), ('"so often"', 3), ('"so often" first', 1)):
        for where in (Filter(), Filter(since=START - timedelta(days=1))):  # which fits all
            assert len(await log.search(search, where=where)) == found


def _rank_three(monkeypatch: pytest.MonkeyPatch, *, sample: int) -> None:
    for module in (hits, searching):
        monkeypatch.setattr(module, "RANKED_HITS", 3)
    monkeypatch.setattr(hits, "SAMPLE", sample)
    monkeypatch.setattr(hits, "WALKED", 15)


async def test_a_text_of_one_word_or_none_has_no_neighbours(log: Queries, database_url: str) -> None:
    await remember(database_url, [*exchange("one", text("!?")), *exchange("...", text("one two"))])
    assert len(await log.search('"one two"')) == 1
    assert len(await log.search("one")) == 2
