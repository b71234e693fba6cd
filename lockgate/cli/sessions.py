"""`lockgate log sessions` and `lockgate log session`: conversations, what came of them, and what was said in one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from lockgate.cli.reading import ConfigFile, Json, ask, console, print_line
from lockgate.errors import Error
from lockgate.storage.shapes import session_json, told_json
from lockgate.units import moment

if TYPE_CHECKING:
    from rich.table import Table

    from lockgate.storage.answers import Session, Told
    from lockgate.storage.queries import Queries

COLUMNS = ("began", "id", "session", "agent", "turns", "tokens", "cost", "blocked", "history")
RELATIONS = {"forked_from": "fork", "compacted_from": "compacted", "subagent_of": "sub-agent"}
PAGE = 200


def sessions(
    *,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=1000))] = 20,
    before: Annotated[str | None, Parameter(help="Only those older than the session with this whole id.")] = None,
    agent: str | None = None,
    project: str | None = None,
    since: Annotated[str | None, Parameter(help="From this time on: 2h, 7d, 2026-11-21.")] = None,
    until: Annotated[str | None, Parameter(help="Until before this time.")] = None,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the sessions, the newest first, each followed by those that were forked, compacted or sent from it."""
    times = [None if text is None else moment(text) for text in (since, until)]
    found = ask(
        config,
        lambda log: log.sessions(
            limit=limit, before=before, agent=agent, project=project, since=times[0], until=times[1]
        ),
    )
    if json_:
        print(json.dumps([session_json(one) for one in found], indent=2))
    elif found:
        console().print(_table(found))
    else:
        print("No session yet.")


def session(
    id: Annotated[str, Parameter(help="Its id, the end of it, or the agent's own marker.")],
    /,
    *,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show one session: where it came from, what came of it, and what was said in it."""

    async def asked(log: Queries) -> tuple[list[Session], list[Told]]:
        found = await log.session(id)
        if not found:
            raise Error(f"no session is called {id!r}: `lockgate log sessions` shows those that there are")
        return found, [told async for told in _conversation(log, found[0].row.id)]

    found, conversation = ask(config, asked)
    if json_:
        whole = {"sessions": [session_json(one) for one in found], "conversation": told_json(conversation)}
        print(json.dumps(whole, indent=2))
        return
    screen = console()
    for name, value in _facts(found[0]):
        print_line(screen, f"{name:<12} {value}")
    if len(found) > 1:
        screen.print("\nwith those that came of it", style="bold")
        screen.print(_table(found))
    for told in conversation:
        for line in _lines(told):
            print_line(screen, line)


async def _conversation(log: Queries, id: str) -> AsyncIterator[Told]:
    from lockgate.storage.queries import FIRST

    after = FIRST
    while page := await log.conversation(id, limit=PAGE, after=after):
        for told in page:
            yield told
        after = page[-1].exchange.id


def _facts(one: Session) -> Iterator[tuple[str, str]]:
    from lockgate.cli.shown import cost_of, plain, time_of, tokens

    row = one.row
    lacking = f", {one.unpriced:,} exchanges have no known price" if one.nano_usd and one.unpriced else ""
    came = f"{row.relation.replace('_', ' ')} {row.parent_id}" if row.relation else ""
    named = {
        "id": row.id, "title": row.title, "began": time_of(row.started_at), "agent": row.agent, "marker": row.marker,
        "came": came, "project": row.project, "history": ", ".join(one.attested), "tokens": tokens(one.usage),
        "exchanges": f"{one.exchanges:,}" + (f", {one.side:,} of them side calls" if one.side else ""),
        "cost": cost_of(one) + lacking, "blocked": f"{one.blocked:,}" if one.blocked else "",
    }  # fmt: skip
    return ((name, plain(value)) for name, value in named.items() if value)


def _table(found: Sequence[Session]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from lockgate.cli.shown import SHORT_ID, cost_of, one_line, time_of, tokens

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        right = name in ("turns", "tokens", "cost", "blocked")
        table.add_column(name, no_wrap=True, justify="right" if right else "left", overflow="ellipsis")
    for one in found:
        row = one.row
        came = f"{'  ' * one.depth}{RELATIONS.get(row.relation, '')}{': ' if row.relation else ''}"
        cells = (
            time_of(row.started_at), row.id[-SHORT_ID:], came + (row.title or "(no words)"), row.agent,
            f"{one.exchanges - one.side:,}", tokens(one.usage), cost_of(one), f"{one.blocked:,}",
            ", ".join(one.attested),
        )  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _lines(told: Told) -> Iterator[str]:
    from lockgate.cli.shown import SHORT_ID, plain, time_of

    row = told.exchange
    about = (time_of(row.started_at), row.id[-SHORT_ID:], row.model, row.outcome, row.attested)
    yield "\n" + plain("  ".join(part for part in about if part))
    for role, text in told.texts:
        first, *rest = plain(text).split("\n")
        yield f"  {role:<10} {first}"
        yield from (f"{'':<13}{line}" for line in rest)
