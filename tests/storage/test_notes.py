from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from lockgate.errors import Error, StorageError
from lockgate.records import ExchangeRow, new_id
from lockgate.storage import schema
from lockgate.storage.answers import Marks
from lockgate.storage.notes import NOTE_CHARACTERS, Notes
from lockgate.storage.queries import Queries
from tests.storage.logs import remember
from tests.storage.records import exchange_row


@pytest.fixture
def rows(database_url: str) -> list[ExchangeRow]:
    """Two exchanges of one session, and one of none."""
    rows = [exchange_row(), exchange_row(), exchange_row(session_id="")]
    schema.upgrade(database_url)
    asyncio.run(remember(database_url, rows))
    return rows


def marks(url: str, rows: Sequence[ExchangeRow]) -> list[Marks | None]:
    async def ask() -> list[Marks | None]:
        async with Queries(url) as log:
            found = await log.marks(rows)
            return [found.get(row.id) for row in rows]

    return asyncio.run(ask())


def test_labels_come_and_go(database_url: str, rows: list[ExchangeRow]) -> None:
    assert marks(database_url, rows) == [None, None, None]
    with Notes(database_url) as notes:
        notes.label("exchange", rows[0].id, add=["keep", "bug:12"])
        notes.label("exchange", rows[0].id, add=["keep"], remove=["none"])
        notes.label("session", rows[0].session_id, add=["Größe"])
    both = Marks(session_labels=("Größe",))
    assert marks(database_url, rows) == [Marks(labels=("bug:12", "keep"), session_labels=("Größe",)), both, None]
    with Notes(database_url) as notes:
        notes.label("exchange", rows[0].id, remove=["keep", "bug:12"])
        notes.label("session", rows[0].session_id, remove=["Größe"])
    assert marks(database_url, rows) == [None, None, None]


def test_notes_are_kept_in_order_and_can_be_removed(database_url: str, rows: list[ExchangeRow]) -> None:
    with Notes(database_url) as notes:
        first = notes.note("exchange", rows[0].id, "odd \x00\ud800")
        notes.note("session", rows[0].session_id, "all of it")
        notes.note("exchange", rows[0].id, "second")
        (one, other, _) = marks(database_url, rows)
        assert one is not None
        assert other is not None
        assert [(note.about, note.text) for note in one.notes] == [
            ("exchange", "odd \x00\ud800"), ("exchange", "second"), ("session", "all of it")
        ]  # fmt: skip
        assert [note.text for note in other.notes] == ["all of it"]
        notes.remove_note(first)
    assert [note.text for mark in marks(database_url, rows[:1]) if mark for note in mark.notes] == [
        "second",
        "all of it",
    ]


@pytest.mark.parametrize("name", ["", " ", "two words", "-x", "+x", "a\n", "x" * 65, "a,b"])
def test_what_is_no_label_is_refused(database_url: str, rows: list[ExchangeRow], name: str) -> None:
    with Notes(database_url) as notes, pytest.raises(Error, match="is no label"):
        notes.label("exchange", rows[0].id, add=[name])


@pytest.mark.parametrize("text", ["", " \n", "x" * (NOTE_CHARACTERS + 1)])
def test_what_is_no_note_is_refused(database_url: str, rows: list[ExchangeRow], text: str) -> None:
    with Notes(database_url) as notes, pytest.raises(Error, match="a note has text"):
        notes.note("exchange", rows[0].id, text)


def test_an_exchange_that_is_not_there_is_named(database_url: str, rows: list[ExchangeRow]) -> None:
    id = new_id()
    with Notes(database_url) as notes:
        with pytest.raises(Error, match=f"no exchange has the id '{id}'"):
            notes.label("exchange", id, add=["keep"])
        with pytest.raises(Error, match=f"no exchange has the id '{id}'"):
            notes.note("exchange", id, "text")


def test_a_missing_database_is_not_made(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no log yet"), Notes(sqlite_url):
        pass
    assert list(tmp_path.iterdir()) == []
