"""What waits for a database in its spill folder, looked at from outside: nothing is claimed, changed or removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lockgate.storage import claim, journal
from lockgate.storage.address import Address
from lockgate.storage.log import spill_folder
from lockgate.storage.spill import HEADER


@dataclass(slots=True, kw_only=True)
class Waiting:
    """Sizes in bytes. A half-written end is none of the damage: its writer may be alive, or was killed."""

    folder: Path
    files: int = 0
    records: int = 0
    size: int = 0
    damaged: list[str] = field(default_factory=list[str])
    """A sentence for each file of which something cannot be read."""


def look(spill: Path, address: Address) -> Waiting:
    """Files that a proxy writes and removes meanwhile are counted as they are found."""
    found = Waiting(folder=spill_folder(spill, address))
    for path in sorted(found.folder.glob("*")) if found.folder.is_dir() else ():
        if path.suffix == ".damaged":
            found.damaged.append(f"{path} holds records that could not be read")
        elif path.suffix == claim.DATA:
            _add(found, path)
    return found


def _add(found: Waiting, path: Path) -> None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    pieces = list(journal.pieces(data, len(HEADER), path.stem.encode()))
    records = sum(piece.payload is not None for piece in pieces)
    if not records:
        return
    found.files, found.records, found.size = found.files + 1, found.records + records, found.size + len(data)
    if bad := sum(piece.end - piece.start for piece in pieces[:-1] if piece.payload is None):
        found.damaged.append(f"{path} has {bad:,} bytes that cannot be read")
