"""The files in which records wait: in order, whole, over restarts, beside other writers, and when the disk is full."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from lockgate.records import Record
from lockgate.storage.spill import HEADER, Spill, sync
from tests.storage.records import comm, exchange_row, whole_exchange


def opened(folder: Path, **options: int) -> Spill:
    spill = Spill(folder, **options)
    spill.open()
    return spill


def everything(spill: Spill, rows: int = 3) -> list[Record]:
    """What is read until nothing is left, a few records at a time."""
    found: list[Record] = []
    while spill.unread:
        found += spill.read(rows, 10**9)
        spill.advance()
    return found


def rows(number: int) -> list[Record]:
    return [exchange_row() for _ in range(number)]


def files(folder: Path, suffix: str = ".spill") -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


def left_by_an_earlier_run(folder: Path, records: Sequence[Record], **options: int) -> None:
    spill = opened(folder, **options)
    for record in records:
        spill.append([record])
    spill.close()


def test_what_was_put_first_is_read_first_and_then_nothing_is_left(tmp_path: Path) -> None:
    spill, records = opened(tmp_path / "deep" / "spill"), [*whole_exchange(), *rows(20)]
    spill.append(records[:5])
    first = spill.read(3, 10**9)
    spill.append(records[5:])
    spill.advance()
    assert first + everything(spill) == records
    assert (spill.rows, spill.unread) == (0, False)
    spill.close()
    assert list(spill.folder.iterdir()) == []


def test_what_was_not_acknowledged_is_read_again(tmp_path: Path) -> None:
    spill, records = opened(tmp_path), rows(5)
    spill.append(records)
    assert spill.read(2, 10**9) == spill.read(2, 10**9) == records[:2]
    spill.skip(spill.append(rows(1)), 6)
    assert not spill.unread


def test_reading_stops_at_its_bounds_but_gives_one_however_big(tmp_path: Path) -> None:
    spill, big = opened(tmp_path), comm("x", content=b"0" * 100_000)
    spill.append([big, *rows(9)])
    assert spill.read(100, 50_000) == [big]
    spill.advance()
    assert len(spill.read(4, 10**9)) == 4


def test_what_was_written_is_synced_once_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill, synced = opened(tmp_path, segment_bytes=1000), list[int]()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    for record in rows(3):
        spill.append([record])
    spill.hold(rows(1))
    assert synced == []
    sync(spill.unsynced())
    assert sorted(synced) == sorted(path.stat().st_ino for path in (tmp_path, *files(tmp_path)))
    assert spill.unsynced() == []


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    spill = opened(tmp_path / "spill")
    spill.append(rows(1))
    assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spill.folder.iterdir()} == {0o600}


def test_segments_are_given_back_one_by_one(tmp_path: Path) -> None:
    spill, records = opened(tmp_path, segment_bytes=1000), rows(40)
    for record in records:
        spill.append([record])
    counts = [len(files(tmp_path))]
    for record in records:
        assert spill.read(1, 10**9) == [record]
        spill.advance()
        counts.append(len(files(tmp_path)))
    assert counts[0] > 10
    assert sorted(counts, reverse=True) == counts
    assert counts[-1] == 1


def test_reading_may_run_beside_appending(tmp_path: Path) -> None:
    spill, records = opened(tmp_path, segment_bytes=20_000), rows(600)
    one_at_a_time = threading.Lock()

    def append() -> None:
        for record in records:
            with one_at_a_time:
                spill.append([record])

    appending = threading.Thread(target=append)
    appending.start()
    found: list[Record] = []
    while len(found) < len(records):
        if spill.unread:
            found += spill.read(50, 10**9)
            with one_at_a_time:
                spill.advance()
    appending.join()
    assert found == records


def test_a_restart_reads_everything_in_order(tmp_path: Path) -> None:
    records = rows(30)
    left_by_an_earlier_run(tmp_path, records[:10], segment_bytes=1000)
    left_by_an_earlier_run(tmp_path, [], segment_bytes=1000)
    spill = opened(tmp_path)
    spill.append(records[20:])
    assert everything(spill) == records[:10] + records[20:]
    spill.close()
    assert list(tmp_path.iterdir()) == []


def test_several_restarts_keep_the_order_of_the_runs(tmp_path: Path) -> None:
    runs = [rows(3) for _ in range(3)]
    living = [opened(tmp_path) for _ in runs]
    for spill, records in zip(living, runs, strict=True):
        spill.append(records)
    for spill in reversed(living):
        spill.close()
    assert everything(opened(tmp_path)) == runs[0] + runs[1] + runs[2]


def test_what_was_read_but_not_removed_is_read_again_after_a_restart(tmp_path: Path) -> None:
    spill, records = opened(tmp_path), rows(5)
    spill.append(records)
    spill.read(2, 10**9)
    spill.advance()
    spill.close()
    assert everything(opened(tmp_path)) == records


def test_the_files_of_a_living_writer_are_left_alone(tmp_path: Path) -> None:
    living, records = opened(tmp_path), rows(2)
    living.append(records)
    living.hold(rows(1))
    other = opened(tmp_path)
    assert not other.unread
    other.append(mine := rows(1))
    assert everything(other) == mine
    other.clear()
    other.close()
    assert everything(living) == records


def test_only_one_of_two_starts_takes_what_is_left(tmp_path: Path) -> None:
    left_by_an_earlier_run(tmp_path, records := rows(3))
    first, second = opened(tmp_path), opened(tmp_path)
    assert (everything(first), everything(second)) == (records, [])


def test_a_half_written_tail_is_cut_off_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_by_an_earlier_run(tmp_path, records := rows(3))
    [file] = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING):
        assert everything(opened(tmp_path)) == records[:2]
    assert [r.levelname for r in caplog.records if "half-written" in r.getMessage()] == ["WARNING"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 5, len(HEADER)])
def test_a_file_that_had_only_just_begun_is_no_damage(
    tmp_path: Path, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    left_by_an_earlier_run(tmp_path, rows(1))
    [file] = files(tmp_path)
    file.write_bytes(HEADER[:length])
    assert everything(opened(tmp_path)) == []
    assert [r.levelname for r in caplog.records if r.levelno > logging.WARNING] == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_middle_is_skipped_said_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_by_an_earlier_run(tmp_path, records := rows(9), segment_bytes=2500)
    file = files(tmp_path)[0]
    data = bytearray(file.read_bytes())
    data[data.index(records[1].id.encode())] ^= 0xFF
    file.write_bytes(data)
    assert everything(opened(tmp_path)) == [records[0], *records[2:]]
    [error] = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert "damaged bytes" in error
    assert [path.read_bytes() for path in files(tmp_path, ".damaged")] == [bytes(data)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


def test_a_damaged_header_costs_nothing(tmp_path: Path) -> None:
    left_by_an_earlier_run(tmp_path, records := rows(2))
    [file] = files(tmp_path)
    file.write_bytes(b"?" * len(HEADER) + file.read_bytes()[len(HEADER) :])
    assert everything(opened(tmp_path)) == records


def test_the_files_of_a_newer_version_wait_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_by_an_earlier_run(tmp_path, rows(2))
    [file] = files(tmp_path)
    file.write_bytes(HEADER.replace(b"01", b"02") + file.read_bytes()[len(HEADER) :])
    spill = opened(tmp_path)
    assert not spill.unread
    assert "newer Lockgate" in caplog.text
    spill.close()
    assert files(tmp_path) == [file]


def test_a_file_that_somebody_removed_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_by_an_earlier_run(tmp_path, rows(2))
    spill = opened(tmp_path)
    files(tmp_path)[0].unlink()
    assert everything(spill) == []
    assert "the log lost" in caplog.text


def test_what_is_held_is_replaced_whole_and_comes_last(tmp_path: Path) -> None:
    spill, records, held = opened(tmp_path), rows(2), rows(2)
    spill.hold(rows(3))
    spill.append(records)
    spill.hold(held)
    spill.close()
    (tmp_path / f"{files(tmp_path)[0].name.partition('.')[0]}.held.new").write_bytes(b"half")
    after = opened(tmp_path)
    assert everything(after) == records + held
    after.hold(held)
    after.hold([])
    after.close()
    assert list(tmp_path.iterdir()) == []


def test_it_is_full_by_its_own_size_or_the_disks(tmp_path: Path) -> None:
    spill = opened(tmp_path, limit_bytes=1000)
    assert spill.full() == ""
    spill.append(rows(5))
    assert "limits.spill_bytes is 1,000" in spill.full()
    everything(spill)
    spill.clear()
    assert spill.full() == ""
    assert "limits.spill_free_bytes" in opened(tmp_path, free_bytes=2**62).full()
