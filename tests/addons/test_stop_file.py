"""A file that stops everything while it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lockgate.addons.stop_file import ID, look, write
from lockgate.records import now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "stop"


def test_it_stops_everything_while_it_is_there(path: Path) -> None:
    assert look(path) == (None, "")
    write(path, "Somebody is\nin the house")
    kill, said = look(path)
    assert kill
    assert (kill.id, kill.scope, kill.reason, said) == (ID, "all", "Somebody is in the house", "")
    assert kill.set_by.startswith("the stop file of ")
    assert kill.holds(now())
    assert look(path) == (kill, "")
    assert os.listdir(path.parent) == ["stop"]
    path.unlink()
    assert look(path) == (None, "")


@pytest.mark.parametrize(("text", "reason"), [
    (b"", ""), (b"\n\n", ""), (b"  Why.  \nmore", "Why."), (b"\xff\x00", "\ufffd\x00"), (b"x" * 9_999, "x" * 1_000),
])  # fmt: skip
def test_its_first_line_is_the_reason(path: Path, text: bytes, reason: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text)
    kill, said = look(path)
    assert kill
    assert (kill.reason, said) == (reason, "")


def test_what_is_no_plain_file_stops_too_and_says_so(path: Path) -> None:
    path.parent.mkdir()
    for make, undo in (
        (path.mkdir, path.rmdir),
        (lambda: path.symlink_to("nowhere"), path.unlink),
        (lambda: os.mkfifo(path), path.unlink),  # it is never opened: that would wait for ever
    ):
        make()
        kill, said = look(path)
        assert kill
        assert "is no plain file; everything is stopped" in said
        undo()
    assert look(path) == (None, "")


def test_where_it_cannot_be_looked_for_it_counts_as_there(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    kill, said = look(path)
    assert kill
    assert "cannot be looked for" in said
    assert "everything is stopped" in said
