"""`lockgate log`: what passed. Only reads; a database that is not there is named, not made."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, validators

from lockgate.config import load_config
from lockgate.errors import Error
from lockgate.exchange import Outcome

if TYPE_CHECKING:  # SQLAlchemy, mitmproxy and rich are imported by the commands that need them
    from rich.console import Console

    from lockgate.storage.answers import ExchangeDetail
    from lockgate.storage.queries import Queries

app = App(name="log", help="Show what passed: the exchanges, one of them, and what the rules changed in it.")

type ConfigFile = Annotated[Path | None, Parameter(name="--config", help="The configuration file.")]
type Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
type Id = Annotated[str, Parameter(help="An id, its beginning, or its end as `list` shows it; 6 digits or more.")]

PIPED_COLUMNS = 250
"""Nothing is cut off where the output is no terminal."""


@app.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1))] = 20,
    before: Annotated[str | None, Parameter(help="Only those older than the exchange with this whole id.")] = None,
    all_: Annotated[bool, Parameter(name="--all", negative=(), help="Also what carries no conversation.")] = False,
    provider: str | None = None,
    model: str | None = None,
    agent: str | None = None,
    session: str | None = None,
    outcome: Outcome | None = None,
    rule: Annotated[str | None, Parameter(help="Only those in which this rule decided something.")] = None,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the exchanges, the newest last, with the end of each id."""
    from lockgate.cli.shown import exchange_table, row_json
    from lockgate.storage.answers import Filter

    where = Filter(
        kind=None if all_ else "model",
        provider=provider,
        model=model,
        agent=agent,
        session_id=session,
        outcome=outcome,
        rule=rule,
    )
    rows = _ask(config, lambda log: log.exchanges(limit=limit, before=before, where=where))[::-1]
    if json_:
        print(json.dumps([row_json(row) for row in rows], indent=2))
    elif rows:
        console = _console()
        console.print(exchange_table(rows, console.width))
    else:
        print("No exchange fits." if any((provider, model, agent, session, outcome, rule)) else "No exchange yet.")


@app.command
def show(id: Id, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """Show one exchange: what was asked, what was answered, what was decided."""
    from lockgate.cli import shown
    from lockgate.cli.conversation import answered, asked

    detail = _exchange(config, id)
    if json_:
        print(json.dumps(shown.as_json(detail), indent=2))
        return
    console = _console()
    for name, value in shown.facts(detail.exchange):
        _print(console, f"{name:<12} {value}")
    for title, lines in (("request", asked(detail)), ("reply", answered(detail))):
        console.print(f"\n{title}", style="bold")
        for line in lines:
            _print(console, f"  {line}")
    if detail.decisions:
        console.print("\ndecisions", style="bold")
        console.print(shown.decision_table(detail.decisions))
    if detail.related:
        console.print("\nrelated", style="bold")
        console.print(shown.exchange_table(detail.related, console.width))
    if any(shown.changes(detail)):
        print(f"\nWhat was changed: lockgate log diff {detail.exchange.id[-shown.SHORT_ID :]}")


@app.command
def diff(id: Id, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """Show what the rules changed in an exchange: original against final, of the request and the reply."""
    from lockgate.cli import shown

    changed = [(*change, shown.diff(*change)) for change in shown.changes(_exchange(config, id))]
    if json_:
        document = {
            name: {
                "original": shown.document(original.content), "final": shown.document(final.content), "diff": lines
            }
            for name, original, final, lines in changed
        }  # fmt: skip
        print(json.dumps(document, indent=2))
        return
    for *_, lines in changed:
        _console().print(shown.coloured(lines), soft_wrap=True)
    if not any(lines for *_, lines in changed):
        print("Nothing was changed.")


def _ask[T](config: Path | None, question: Callable[[Queries], Awaitable[T]]) -> T:
    """The answer of the log that the configuration names."""
    from lockgate.storage.queries import Queries

    async def ask() -> T:
        async with Queries(load_config(config).database) as log:
            return await question(log)

    return asyncio.run(ask())


def _exchange(config: Path | None, id: str) -> ExchangeDetail:
    detail = _ask(config, lambda log: log.exchange(id))
    if detail is None:
        raise Error(f"no exchange has the id {id!r}: `lockgate log list --all` shows those that there are")
    return detail


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS, highlight=False, markup=False)


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)
