"""A file that stops everything while it is there, whatever else works: one look at it, and nothing more.

It may be empty; the first line of its text is told to clients as the reason. Where it cannot be seen whether it is
there, it counts as there.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from lockgate.records import Kill

ID = "file"
"""The id of its kill, for `lockgate kill lift`."""
REASON_BYTES = 1_000
_UNKNOWN = datetime.fromtimestamp(0, UTC)


def look(path: Path) -> tuple[Kill | None, str]:
    """The kill, while the file is there, and a sentence where that cannot be known, or the file is no plain one."""
    try:
        status = path.lstat()  # a link that leads nowhere is there too
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return _kill(), f"the stop file {path} cannot be looked for ({error.strerror}), so everything is stopped"
    made = datetime.fromtimestamp(status.st_mtime, UTC)
    if not stat.S_ISREG(status.st_mode):
        return _kill(made, _owner(status.st_uid)), f"the stop file {path} is no plain file; everything is stopped"
    try:
        with path.open("rb") as file:
            text = file.read(REASON_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return _kill(made, _owner(status.st_uid)), f"the stop file {path} cannot be read ({error.strerror})"
    return _kill(made, _owner(status.st_uid), next(iter(text.strip().splitlines()), "").strip()), ""


def write(path: Path, reason: str) -> None:
    """Stop everything by the file. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(f"{' '.join(reason.split())}\n", "utf-8")
    new.replace(path)  # whole, or not at all


def _kill(made: datetime = _UNKNOWN, owner: str = "", reason: str = "") -> Kill:
    by = f"the stop file{f' of {owner}' if owner else ''}"
    return Kill(id=ID, scope="all", set_by=by, reason=reason, created_at=made)


def _owner(uid: int) -> str:
    with suppress(ImportError, KeyError):
        import pwd  # not everywhere

        return pwd.getpwuid(uid).pw_name
    return str(uid)
