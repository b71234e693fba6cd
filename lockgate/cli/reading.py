"""What the commands share that read the log: asking it, and printing what people, models and agents wrote."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lockgate.config import load_config
from lockgate.errors import Error

if TYPE_CHECKING:  # SQLAlchemy and rich are imported by the commands that need them
    from rich.console import Console

    from lockgate.storage.queries import Queries

type ConfigFile = Annotated[Path | None, Parameter(name="--config", help="The configuration file.")]
type Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
type Id = Annotated[str, Parameter(help="An id, its beginning, or its end as `list` shows it; 6 digits or more.")]

PIPED_COLUMNS = 250
"""Nothing is cut off where the output is no terminal."""


def ask[T](config: Path | None, question: Callable[[Queries], Awaitable[T]]) -> T:
    """The answer of the log that the configuration names."""
    from lockgate.storage.queries import Queries

    async def asked() -> T:
        async with Queries(load_config(config).database) as log:
            return await question(log)

    return asyncio.run(asked())


def request_of(source: str, config: Path | None) -> bytes:
    """The body of a request: of a file, or else of the exchange in the log that has this id."""
    if (file := Path(source)).exists() or file.suffix:
        try:
            return file.read_bytes()
        except OSError as error:
            raise Error(f"{file} cannot be read: {error.strerror}") from error

    async def asked(log: Queries) -> bytes | None:
        if (detail := await log.exchange(source)) is None:
            raise no_such(source)
        return next((comm.content for comm in detail.chain("REQUEST")), None)

    if (body := ask(config, asked)) is None:
        raise Error(f"the log does not hold the request of the exchange {source!r}")
    return body


def no_such(id: str) -> Error:
    return Error(f"no exchange has the id {id!r}: `lockgate log list --all` shows those that there are")


def console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS, highlight=False, markup=False)


def print_line(to: Console, line: str) -> None:
    to.print(line, soft_wrap=True)
