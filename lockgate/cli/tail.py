"""`lockgate log tail`: exchanges as they end, until it is stopped. It asks the database, whoever writes to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from lockgate.cli.reading import ConfigFile, Json, ask, console
from lockgate.cli.which import Which
from lockgate.records import ExchangeRow

if TYPE_CHECKING:
    from rich.text import Text

    from lockgate.storage.answers import Filter
    from lockgate.storage.queries import Queries

LOOK_SECONDS = 0.5
PAGE = 500
OPEN = 5_000
"""Exchanges that are waited for; of more, the oldest are told as they are."""


def tail(
    *,
    last: Annotated[
        int, Parameter(help="So many that ended before are told first.", validator=validators.Number(gte=0, lte=PAGE))
    ] = 10,
    which: Which = Which(),  # noqa: B008  (frozen)
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print each exchange when it ends, until it is stopped."""
    _print(config, which, last, json_=json_)


def _print(config: Path | None, which: Which, last: int, *, json_: bool) -> None:
    from lockgate.storage.shapes import row_json

    screen = console()

    async def printing(log: Queries) -> None:
        async with aclosing(ended(log, which.filter(), last=last)) as rows:
            async for row in rows:
                if json_:
                    print(json.dumps(row_json(row)), flush=True)
                else:
                    screen.print(line(row), soft_wrap=True)

    ask(config, printing)


async def ended(log: Queries, where: Filter, *, last: int) -> AsyncGenerator[ExchangeRow]:
    """The last that ended, then each that ends, in the order in which that is seen."""
    from lockgate.storage.queries import FIRST

    newest, under_way = FIRST, dict[str, ExchangeRow]()
    for row in reversed(await log.exchanges(limit=max(1, last), where=where)):
        newest = row.id
        if row.outcome == "open":
            under_way[row.id] = row
        elif last:
            yield row
    while True:
        for row in await log.rows(tuple(under_way)):
            if row.outcome != "open":
                del under_way[row.id]
                yield row
        for row in await log.exchanges(limit=PAGE, after=newest, where=where):
            newest = row.id
            if row.outcome == "open":
                under_way[row.id] = row
            else:
                yield row
        while len(under_way) > OPEN:
            yield under_way.pop(next(iter(under_way)))
        await asyncio.sleep(LOOK_SECONDS)


def line(row: ExchangeRow) -> Text:
    """One exchange, coloured by how it ended."""
    from rich.text import Text

    from lockgate.cli.shown import OUTCOMES, SHORT_ID, duration, one_line, tokens
    from lockgate.usage.prices import dollars

    made = Text()
    made.append(f"{row.started_at.astimezone():%H:%M:%S} ", "dim")
    made.append(f"{row.id[-SHORT_ID:]} ", "cyan")
    made.append(f"{row.outcome:<8}", OUTCOMES.get(row.outcome, "green"))
    what = (row.agent, row.model or row.endpoint, row.purpose, f"by {', '.join(row.rules)}" if row.rules else "")
    counts = (f"{row.tool_calls} calls" if row.tool_calls else "", tokens(row.usage) if row.usage else "")
    price = "" if row.cost_nano_usd is None else dollars(row.cost_nano_usd)
    parts = (*what, *counts, price, duration(row.duration_ms), row.error)
    made.append(one_line("  ".join(part for part in parts if part)))
    return made
