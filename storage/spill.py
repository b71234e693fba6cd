"""Records that wait for the database in files: appended with checksums, read back in order, also after a restart.

What was appended survives the end of the process at once, and that of the power as soon as `sync` has returned, which
waits for the disk and holds up nobody else: a disk that is busy may take longer than a record may be in memory only.
A segment is removed when all of it has been written to the database, never sooner: after a crash, records that were
written already are read again, and writing a record twice is the same as writing it once. `read` may run beside
`append`; all else is called by one thread at a time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.records import Record
from lockgate.storage import claim, journal
from lockgate.storage.claim import Claim

logger = logging.getLogger("lockgate.log")

SEGMENT_BYTES = 8 * 2**20
"""A file is no longer than this, or one append: what is written to the database is given back in such steps."""
HEADER = f"lockgate spill {journal.VERSION:02}\n".encode()
UNFINISHED = ".new"
HELD = "held"
"""A writer's last file: records that came before what they point to. It is replaced whole when they change."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Segment:
    path: Path
    claim: Claim
    end: int
    rows: int = 1
    """Not read yet. Nobody counts what an earlier process left: 1 stands for all of it."""
    growing: bool = False
    may_be_cut: bool = False
    """Its process ended, maybe in the middle of a record."""
    damaged_bytes: int = 0

    @property
    def key(self) -> bytes:
        return self.path.stem.encode()


class Spill:
    """The files of one database's log. `limit_bytes` and `free_bytes` bound what new exchanges may still bring."""

    def __init__(
        self, folder: Path, *, limit_bytes: int = 2**30, free_bytes: int = 0, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.folder = folder
        self._limit_bytes, self._free_bytes, self._segment_bytes = limit_bytes, free_bytes, segment_bytes
        self._segments: deque[_Segment] = deque()
        self._claim: Claim | None = None
        self._writing: int | None = None
        self._unsynced: dict[Path, int] = {}
        """Handles of files that were written to, and of the folder where files came."""
        self._number = 0
        self._at = len(HEADER)
        """How far the first segment was written to the database."""
        self._next = (self._at, 0)
        """The end of what was read last, and how many records that was."""

    @property
    def unread(self) -> bool:
        """Whether something is here that is not in the database."""
        return len(self._segments) > 1 or (len(self._segments) == 1 and self._at < self._segments[0].end)

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in tuple(self._segments))  # asked while other threads go on

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(segment.end for segment in tuple(self._segments))  # asked while other threads go on

    @property
    def limit_bytes(self) -> int:
        return self._limit_bytes

    def full(self) -> str:
        """Why no new exchange should be let in, or "". What those under way still bring is taken all the same."""
        if self.size >= self._limit_bytes:
            return f"{self.folder} holds {self.size:,} bytes, and limits.spill_bytes is {self._limit_bytes:,}"
        disk = os.statvfs(self.folder)
        if (free := disk.f_bavail * disk.f_frsize) < self._free_bytes:
            left = f"the disk of {self.folder} has {free:,} bytes left"
            return f"{left}, and limits.spill_free_bytes is {self._free_bytes:,}"
        return ""

    def open(self) -> None:
        """Take over what processes that have ended left, and nothing of those that live. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for one in claim.dead(self.folder):
            self._adopt(one)
        if self._segments:
            logger.warning("the log goes on with %d bytes that an earlier run left in %s", self.size, self.folder)

    def append(self, records: Sequence[Record]) -> int:
        """Keep the records, all or none, and give their end for `skip`; nobody waits for the disk. Raises OSError."""
        segment = self._growing()
        if segment is None or segment.end >= self._segment_bytes:
            segment = self._begin_segment()
        assert self._writing is not None
        data = b"".join(journal.frame(record, segment.key) for record in records)
        _write(self._writing, data, segment.end)
        segment.end += len(data)
        segment.rows += len(records)
        self._sync_later(segment.path, self._writing)
        return segment.end

    def unsynced(self) -> list[int]:
        """What is to be given to `sync`: what was written since this was asked last."""
        handles, self._unsynced = [*self._unsynced.values()], {}
        return handles

    def read(self, rows: int, size: int) -> list[Record]:
        """The oldest records, up to about these bounds; [] where nothing is whole. `advance` goes on from there.

        Raises OSError where another try may help.
        """
        segment, at, found = self._segments[0], self._at, list[Record]()
        end = segment.end  # an append may move it meanwhile
        for piece in journal.pieces(_data(segment, end), at, segment.key):
            record = self._record(segment, piece, end)
            found += [record] if record else []
            at = piece.end
            if len(found) >= rows or at - self._at >= size:
                break
        else:
            at = end  # also where the file was cut or is gone
        self._next = (at, len(found))
        return found

    def advance(self) -> None:
        """What was read last is in the database."""
        self._go_to(*self._next)

    def skip(self, end: int, rows: int) -> None:
        """The first records are in the database, though they were never read."""
        self._go_to(end, rows)

    def clear(self) -> None:
        """All was read: give the disk back."""
        if self._segments:
            self._remove(self._segments[0])

    def hold(self, records: Sequence[Record]) -> None:
        """Keep these instead of what was held before. Raises OSError."""
        if not (records or self._claim):
            return
        path = self._path(HELD)
        if not records:
            path.unlink(missing_ok=True)
            return
        temporary = path.with_suffix(UNFINISHED)
        handle = _create(temporary)
        try:
            key = path.stem.encode()
            _write(handle, HEADER + b"".join(journal.frame(record, key) for record in records), 0)
            self._sync_later(path, handle)
        finally:
            os.close(handle)
        temporary.replace(path)

    def close(self) -> None:
        """What is unread stays for the next start, and what was held likewise."""
        self._end_segment()
        if not self.unread:
            self.clear()
        if self._claim and not (any(one.claim is self._claim for one in self._segments) or self._path(HELD).exists()):
            self._claim.release()
        elif self._claim:
            self._claim.leave()
        for left in {id(one.claim): one.claim for one in self._segments if one.claim is not self._claim}.values():
            left.leave()
        self._claim = None
        self._segments.clear()

    def _adopt(self, dead: Claim) -> None:
        for unfinished in self.folder.glob(f"{dead.name}.*{UNFINISHED}"):
            unfinished.unlink()
        paths = sorted(self.folder.glob(f"{dead.name}.*{claim.DATA}"))
        if newer := [path.name for path in paths if _version(path) > journal.VERSION]:
            logger.error(
                "%s in %s was written by a newer Lockgate: it stays until that is started", *(newer[0], self.folder)
            )
            dead.leave()
            return
        left = [_Segment(path=path, claim=dead, end=path.stat().st_size) for path in paths]
        for last in [segment for segment in left if not segment.path.stem.endswith(HELD)][-1:]:
            last.may_be_cut = True
        self._segments += [segment for segment in left if segment.end > len(HEADER)]
        for empty in left:
            if empty.end <= len(HEADER):
                empty.path.unlink(missing_ok=True)
        if not any(segment.claim is dead for segment in self._segments):
            dead.release()

    def _record(self, segment: _Segment, piece: journal.Piece, end: int) -> Record | None:
        size = piece.end - piece.start
        if piece.payload is not None:
            try:
                return journal.from_bytes(piece.payload)
            except journal.Unreadable as error:
                logger.error("the log cannot read one of the records that waited in %s: %s", segment.path, error)
                segment.damaged_bytes += size
        elif segment.may_be_cut and piece.end >= end:
            logger.warning("the log cut a half-written record of %d bytes off the end of %s", size, segment.path)
        else:
            segment.damaged_bytes += size
        return None

    def _go_to(self, at: int, rows: int) -> None:
        segment = self._segments[0]
        self._at = at
        segment.rows = max(segment.rows - rows, 0 if at >= segment.end else 1)
        if at >= segment.end and not segment.growing:
            self._remove(segment)

    def _remove(self, segment: _Segment) -> None:
        """All that could be read of the first segment is in the database."""
        self._segments.popleft()
        self._at = len(HEADER)
        if segment.growing:
            self._end_segment(segment)
        if segment.damaged_bytes:
            kept = segment.path.with_suffix(".damaged")
            with contextlib.suppress(OSError):
                segment.path.replace(kept)
            logger.error(
                "the log lost what stood in %d damaged bytes of %s; what was whole beside them is saved",
                *(segment.damaged_bytes, kept),
            )
        else:
            segment.path.unlink(missing_ok=True)
        if segment.claim is not self._claim and all(one.claim is not segment.claim for one in self._segments):
            segment.claim.release()

    def _growing(self) -> _Segment | None:
        return self._segments[-1] if self._segments and self._segments[-1].growing else None

    def _begin_segment(self) -> _Segment:
        path = self._path(f"{self._number + 1:06}")
        handle = _create(path)
        try:
            _write(handle, HEADER, 0)
        except BaseException:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise
        self._end_segment()
        self._number, self._writing = self._number + 1, handle
        assert self._claim
        segment = _Segment(path=path, claim=self._claim, end=len(HEADER), rows=0, growing=True)
        self._segments.append(segment)
        return segment

    def _end_segment(self, segment: _Segment | None = None) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None
        if segment := segment or self._growing():
            segment.growing = False

    def _sync_later(self, path: Path, handle: int) -> None:
        """Through handles of its own, since files are closed and removed meanwhile."""
        if path not in self._unsynced:
            self._unsynced[path] = os.dup(handle)
        if self.folder not in self._unsynced:
            self._unsynced[self.folder] = os.open(self.folder, os.O_RDONLY)

    def _path(self, part: str) -> Path:
        self._claim = self._claim or claim.make(self.folder)
        return self.folder / f"{self._claim.name}.{part}{claim.DATA}"


def sync(handles: Sequence[int]) -> None:
    """What they were asked for after is on the disk, whatever was written since; closes them. Raises OSError."""
    with contextlib.ExitStack() as stack:
        for handle in handles:
            stack.callback(os.close, handle)
        for handle in handles:
            os.fsync(handle)


def _version(path: Path) -> int:
    """A damaged header says nothing: then each record's own checksum has to do."""
    with path.open("rb") as file:
        found = re.fullmatch(rb"lockgate spill (\d\d)\n", file.read(len(HEADER)))
    return int(found[1]) if found else journal.VERSION


def _data(segment: _Segment, end: int) -> bytes:
    try:
        with segment.path.open("rb") as file:
            data = file.read(end)
    except FileNotFoundError:
        data = b""
    if missing := end - len(data):
        logger.error("the log lost %d bytes that waited at the end of %s: the file was cut", missing, segment.path)
    return data


def _create(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)


def _write(handle: int, data: bytes, at: int) -> None:
    """All of the data into the file, or the file as it was. Raises OSError."""
    view, end = memoryview(data), at
    try:
        while view:
            written = os.pwrite(handle, view, end)
            view, end = view[written:], end + written
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, at)
        raise
