"""`lockgate log export`: exchanges as files that other programs read. One exchange is in memory at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lockgate.cli.reading import ConfigFile, ask
from lockgate.cli.which import Which
from lockgate.errors import Error
from lockgate.storage.answers import Filter
from lockgate.storage.export import TextFormat, details, shape

if TYPE_CHECKING:
    from lockgate.storage.queries import Queries

type Format = TextFormat | Literal["parquet"]
type Write = Callable[[str], object]


def export(
    *,
    format: Annotated[
        Format,
        Parameter(
            help="jsonl has everything; markdown is to be read; har is HTTP Archive 1.2; parquet is for notebooks."
        ),
    ],
    output: Annotated[Path | None, Parameter(help="A new file; by default standard output.")] = None,
    which: Which = Which(),  # noqa: B008  (frozen)
    config: ConfigFile = None,
) -> None:
    """Write exchanges, the oldest first, with their bodies. Credentials never got into the log."""
    where = which.filter()
    if format == "parquet":
        count = _parquet(config, where, output)
    else:
        with opened(output) as write:
            count = ask(config, lambda log: _write(log, where, format, write))
    if output:
        print(f"{count:,} exchange{'' if count == 1 else 's'} in {output}")


async def _write(log: Queries, where: Filter, format: TextFormat, write: Write) -> int:
    head, between, foot, told = shape(format)
    count = 0
    write(head)
    async for detail, marks in details(log, where):
        write((between if count else "") + told(detail, marks))
        count += 1
    write(foot)
    return count


def _parquet(config: Path | None, where: Filter, output: Path | None) -> int:
    if output is None:
        raise Error("parquet is no text: name a new file with --output")
    from lockgate.cli.parquet import Parquet, require_pyarrow

    require_pyarrow()
    with open(_new(output), "wb") as file:
        table = Parquet(file)

        async def written(log: Queries) -> int:
            count = 0
            async for detail, marks in details(log, where):
                table.add(detail, marks)
                count += 1
            return count

        count = ask(config, written)
        table.close()
    return count


@contextmanager
def opened(output: Path | None) -> Generator[Write]:
    """A new file that only its owner reads: it holds whole conversations."""
    if output is None:
        yield sys.stdout.write
        return
    with open(_new(output), "w", encoding="utf-8", errors="surrogatepass") as file:
        yield file.write


def _new(output: Path) -> int:
    try:
        return os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise Error(f"{output} exists already: give the name of a new file") from error
    except OSError as error:
        raise Error(f"{output} cannot be written: {error.strerror}") from error
