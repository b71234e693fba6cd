"""`lockgate db backup` and `lockgate db restore`: the log as one file, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lockgate.cli.reading import ConfigFile
from lockgate.config import Config, load_config

EVERY_ROWS = 1_000

type File = Annotated[Path, Parameter(help="A file such as lockgate.jsonl.zst.")]


def backup(file: File, /, *, config: ConfigFile = None) -> None:
    """Write the whole log, as it is at this moment, to a new file; proxies go on meanwhile."""
    from lockgate.storage.backup import backup as write

    settings = load_config(config)
    rows = write(settings.database, file, _progress())
    print(f"{file}: {rows.get('exchange', 0):,} exchanges, {sum(rows.values()):,} rows, {file.stat().st_size:,} bytes")
    if waiting := _waiting(settings):
        print(waiting)


def restore(file: File, /, *, config: ConfigFile = None) -> None:
    """Take a backup into a database without exchanges, or add what an archive holds; all of it or nothing.

    SQLite and PostgreSQL read each other's files.
    """
    from lockgate.certs.signing import signer_of
    from lockgate.storage import schema
    from lockgate.storage.address import parse
    from lockgate.storage.backup import restore as read

    settings = load_config(config)
    signer = signer_of(settings)
    head, added = read(settings.database, file, _progress(), signer)
    where = schema.place(parse(settings.database))
    print(f"{where}: {added:,} exchanges of the {head.lockgate} that was made at {head.made_at[:19]} UTC")
    if waiting := _waiting(settings):
        print(waiting)


def _progress() -> Callable[[str, int], None]:
    """One line that is written over, where somebody looks on."""

    def told(table: str, rows: int) -> None:
        if sys.stderr.isatty() and rows % EVERY_ROWS == 0:
            print(f"\r\033[K{table}: {rows:,} rows", end="\r", file=sys.stderr, flush=True)

    return told


def _waiting(settings: Config) -> str:
    """What is not in the database, and so neither in a backup nor over its restore."""
    from lockgate.storage.address import parse
    from lockgate.storage.waiting import look

    found = look(settings.home / "spill", parse(settings.database))
    if not found.size:
        return ""
    return (
        f"besides, {found.records:,} records ({found.size:,} bytes) wait for the database in {found.folder}: they are"
        " written to it when Lockgate runs"
    )
