"""The order in which records reach the writer, whatever moves between memory and disk. No thread runs here."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.records import Record
from lockgate.storage import feed
from lockgate.storage.backlog import Backlog
from lockgate.storage.feed import Feed
from lockgate.storage.spill import Spill
from tests.storage.records import exchange_row


class Parts:
    """A feed whose threads are the test: `keep` is what the keeper does with what has waited too long."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.backlog = Backlog(rows=100, size=10**9)
        self.spill = Spill(folder, **limits)
        self.spill.open()
        self.feed = Feed(self.backlog, self.spill)

    def put(self, number: int = 1) -> list[Record]:
        records: list[Record] = [exchange_row() for _ in range(number)]
        for record in records:
            self.backlog.put([record])
        return records

    def keep(self) -> None:
        self.feed._save(0.0)

    def write(self) -> list[Record]:
        batch = self.feed.next()
        self.feed.done()
        return batch


@pytest.fixture
def at(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


def once(parts: Parts, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Any]) -> None:
    """Just before the writer looks into memory, this happens."""
    look = parts.backlog.wait

    def wait() -> None:
        monkeypatch.setattr(parts.backlog, "wait", look)
        meanwhile()
        look()

    monkeypatch.setattr(parts.backlog, "wait", wait)


def test_what_the_writer_holds_is_kept_too_and_not_given_twice(at: Parts) -> None:
    first = at.put(3)
    assert at.feed.next() == first
    at.keep()
    second = at.put(2)
    at.keep()
    assert (at.backlog.rows, at.feed.rows) == (0, 5)
    at.feed.done()
    assert at.write() == second
    assert at.feed.rows == 0


def test_what_went_to_the_disk_is_not_overtaken(at: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    first, later = at.put(), list[Record]()

    def meanwhile() -> None:
        at.keep()
        later.extend(at.put())

    once(at, monkeypatch, meanwhile)
    assert [at.write(), at.write()] == [first, later]


def test_the_writer_does_not_wait_for_memory_when_all_is_on_the_disk(
    at: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = at.put()
    once(at, monkeypatch, at.keep)
    assert at.write() == records


def test_once_the_disk_is_empty_records_take_the_short_way_again(at: Parts, tmp_path: Path) -> None:
    at.put()
    at.keep()
    at.write()
    at.put()
    at.write()
    assert not at.feed._spilling
    assert list(tmp_path.glob("*.spill")) == []


def test_who_puts_more_helps_out_where_the_keeper_comes_too_late(at: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    records = at.put(2)
    at.feed.help()
    assert (at.backlog.rows, at.spill.rows) == (2, 0)
    monkeypatch.setattr(feed, "HELP_SECONDS", 0.0)
    with at.feed._lock:
        at.feed.help()  # the keeper is at it
    assert at.spill.rows == 0
    at.feed.help()
    assert (at.backlog.rows, at.spill.rows) == (0, 2)
    assert at.write() == records


def test_a_disk_that_takes_nothing_leaves_the_order_as_it_was(at: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    records = at.put(3)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        at.keep()
        assert "No space left" in at.backlog.blocked
    assert at.backlog.rows == 3
    records += at.put()
    at.keep()
    assert at.backlog.blocked == ""
    assert at.write() == records


def test_a_half_written_append_is_taken_back(at: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    records = at.put()
    at.keep()
    [file] = tmp_path.glob("*.spill")
    whole, write = file.read_bytes(), os.pwrite

    def half(handle: int, data: bytes, at: int) -> int:
        if at > len(whole):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return write(handle, data[:100], at)

    records += at.put()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        at.keep()
    assert file.read_bytes() == whole
    at.keep()
    assert at.write() == records


def test_a_full_spill_blocks_until_it_is_read(tmp_path: Path) -> None:
    at = Parts(tmp_path, limit_bytes=100)
    at.put()
    at.keep()
    assert "limits.spill_bytes" in at.backlog.blocked
    at.write()
    at.feed._from_spill()
    at.keep()
    assert at.backlog.blocked == ""


def test_the_end_keeps_what_was_not_written(at: Parts, tmp_path: Path) -> None:
    first = at.put(2)
    assert at.feed.next() == first
    second = at.put(2)
    assert at.feed.close() == []
    after = Parts(tmp_path)
    assert after.spill.unread
    assert after.spill.read(10, 10**9) == first + second


def test_the_end_gives_back_what_no_disk_takes(at: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    first = at.put(2)
    assert at.feed.next() == first
    second = at.put(1)
    monkeypatch.setattr(at.spill, "append", lambda _: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
    assert at.feed.close() == first + second
