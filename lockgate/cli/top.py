"""`lockgate top`: what runs, what waits for a person and what it costs, drawn each second. It asks the database."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from lockgate.cli.reading import ConfigFile, console
from lockgate.config import load_config
from lockgate.records import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group
    from rich.table import Table

    from lockgate.records import Approval, ExchangeRow
    from lockgate.storage.answers import Cost, Point
    from lockgate.storage.approvals import ApprovalDesk
    from lockgate.storage.proxies import Proxy
    from lockgate.storage.queries import Queries

STREAMS = 20
HOLDS = 10
MODELS = 8
PROXIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is shown at one moment."""

    at: datetime
    streams: Sequence[ExchangeRow]
    """Under way, the newest first."""
    holds: Sequence[Approval]
    hour: Sequence[Point]
    """By minute."""
    today: Sequence[Cost]
    """By model, since midnight in UTC."""
    proxies: Sequence[Proxy]
    """Those that did not end."""


def top(
    *,
    every: Annotated[
        float, Parameter(help="Seconds from one look to the next.", validator=validators.Number(gte=0.2))
    ] = 1.0,
    once: Annotated[bool, Parameter(negative=(), help="Look once, print, and end.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show what runs, what waits for a person, and what it costs, until it is stopped."""
    asyncio.run(_watch(load_config(config).database, every, once=once or not sys.stdout.isatty()))


async def _watch(database: str, every: float, *, once: bool) -> None:
    from rich.live import Live

    from lockgate.storage.approvals import ApprovalDesk
    from lockgate.storage.queries import Queries

    async with Queries(database) as log, ApprovalDesk(database) as desk:
        screen = console()
        if once:
            screen.print(drawn(await look(log, desk)))
            return
        with Live(drawn(await look(log, desk)), console=screen, screen=True, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(every)
                live.update(drawn(await look(log, desk)), refresh=True)


async def look(log: Queries, desk: ApprovalDesk) -> Sight:
    from lockgate.storage.answers import Filter

    at = now()
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return Sight(
        at=at,
        streams=await log.exchanges(limit=STREAMS, where=Filter(outcome="open")),
        holds=await desk.pending(limit=HOLDS),
        hour=await log.series("minute", where=Filter(kind="model", since=at - timedelta(hours=1))),
        today=(await log.costs("model", where=Filter(since=midnight)))[:MODELS],
        proxies=[one for one in await log.proxies() if one.state != "ended"],
    )


def drawn(sight: Sight) -> Group:
    from rich.console import Group
    from rich.text import Text

    head = Text(f"lockgate  {sight.at.astimezone():%H:%M:%S}  {_sums(sight)}", style="bold")
    parts = [head, Text(), Text("under way", style="bold"), _streams(sight)]
    if sight.holds:
        parts += [Text(), Text("waiting for a person: lockgate approve ID", style="bold yellow"), _holds(sight.holds)]
    if sight.today:
        parts += [Text(), Text("today, by model", style="bold"), _costs(sight.today)]
    if len(sight.proxies) > 1 or any(one.state == "lost" for one in sight.proxies):
        parts += [Text(), Text("proxies", style="bold"), _proxies(sight)]
    return Group(*parts)


def _sums(sight: Sight) -> str:
    from lockgate.usage.prices import dollars

    minute = sight.at.replace(second=0, microsecond=0)
    current = sum(point.exchanges for point in sight.hour if point.at == minute)
    hour, blocked = (sum(getattr(point, name) for point in sight.hour) for name in ("exchanges", "blocked"))
    cost = dollars(sum(point.nano_usd for point in sight.hour))
    past = f"last hour: {hour:,} exchanges, {blocked:,} blocked, {cost}"
    return f"{len(sight.streams)} under way, {current} this minute; {past}"


def _streams(sight: Sight) -> Table:
    from lockgate.cli.shown import SHORT_ID

    rows = [
        (one.id[-SHORT_ID:], _since(one.started_at, sight.at), one.agent, one.model or one.endpoint, one.project)
        for one in sight.streams
    ]
    return _table(("id", "for", "agent", "model", "project"), rows)


def _holds(holds: Sequence[Approval]) -> Table:
    from lockgate.cli.approvals import summary
    from lockgate.cli.shown import SHORT_ID

    rows = [(one.id[-SHORT_ID:], _since(one.asked_at, now()), one.rule, summary(one)) for one in holds]
    return _table(("id", "for", "rule", "call"), rows)


def _costs(today: Sequence[Cost]) -> Table:
    from lockgate.cli.shown import cost_of, tokens

    rows = [(one.key or "-", f"{one.exchanges:,}", tokens(one.usage), cost_of(one)) for one in today]
    return _table(("model", "exchanges", "tokens", "cost"), rows)


def _proxies(sight: Sight) -> Table:
    rows = [
        (each.name, each.state, _since(each.seen_at, sight.at), ", ".join(each.listen), *_counts(each))
        for each in sight.proxies[:PROXIES]
    ]
    return _table(("proxy", "state", "seen", "listens on", "under way", "held"), rows)


def _counts(proxy: Proxy) -> tuple[str, str]:
    """What a lost one said last is not so any more."""
    return (f"{proxy.open_exchanges:,}", f"{proxy.held:,}") if proxy.state == "serving" else ("", "")


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from lockgate.cli.shown import one_line

    made = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        made.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in rows:
        made.add_row(*(Text(one_line(cell)) for cell in row))
    return made


def _since(began: datetime, at: datetime) -> str:
    seconds = max(0, int((at - began).total_seconds()))
    return f"{seconds} s" if seconds < 600 else f"{seconds // 60} min"
