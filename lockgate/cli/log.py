"""`lockgate log`: what passed. Only reads; a database that is not there is named, not made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, validators

from lockgate.cli.reading import ConfigFile, Id, Json, ask, console, no_such, print_line
from lockgate.cli.which import Which
from lockgate.storage.answers import NO_MARKS

if TYPE_CHECKING:  # SQLAlchemy, mitmproxy and rich are imported by the commands that need them
    from lockgate.records import ExchangeRow
    from lockgate.storage.answers import ExchangeDetail, Marks
    from lockgate.storage.queries import Queries

app = App(name="log", help="Show what passed: the exchanges, one of them, and what the rules changed in it.")

type Frames = Annotated[bool, Parameter(negative=(), help="Show the frames of its reply, where the log keeps them.")]

app.command("lockgate.cli.tail:tail", help="Print each exchange when it ends, until it is stopped.")
app.command("lockgate.cli.found:search", help="Find what was said.")
app.command("lockgate.cli.found:cost", help="Add up tokens and cost.")
app.command("lockgate.cli.sessions:sessions", help="List the sessions, each with those that came of it.")
app.command("lockgate.cli.sessions:session", help="Show one session: where it came from, and what was said.")
app.command("lockgate.cli.labels:label", help="Label an exchange or its session.")
app.command("lockgate.cli.labels:note", help="Write a note about an exchange or its session.")
app.command("lockgate.cli.export:export", help="Write exchanges to a file: JSONL, Markdown, HAR or Parquet.")
app.command("lockgate.cli.verify:verify", help="Tell whether anybody changed, removed or inserted anything.")


@app.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1))] = 20,
    before: Annotated[str | None, Parameter(help="Only those older than the exchange with this whole id.")] = None,
    which: Which = Which(),  # noqa: B008  (frozen)
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the exchanges, the newest last, with the end of each id."""
    where = which.filter()

    async def asked(log: Queries) -> tuple[list[ExchangeRow], dict[str, Marks]]:
        rows = await log.exchanges(limit=limit, before=before, where=where)
        return rows[::-1], await log.marks(rows)

    rows, marks = ask(config, asked)
    from lockgate.cli.shown import exchange_table
    from lockgate.storage.shapes import row_json

    if json_:
        print(json.dumps([row_json(row, marks.get(row.id, NO_MARKS)) for row in rows], indent=2))
    elif rows:
        screen = console()
        screen.print(exchange_table(rows, screen.width, marks))
    else:
        print("No exchange fits." if which.given else "No exchange yet.")


@app.command
def show(id: Id, /, *, frames: Frames = False, json_: Json = False, config: ConfigFile = None) -> None:
    """Show one exchange: what was asked, what was answered, what was decided."""
    if frames:
        from lockgate.cli.frames import show_frames

        show_frames(id, json_=json_, config=config)
        return
    from lockgate.cli import shown
    from lockgate.cli.conversation import answered, asked
    from lockgate.storage.shapes import changes, detail_json

    detail, marks = _exchange(config, id)
    if json_:
        print(json.dumps(detail_json(detail, marks), indent=2))
        return
    screen = console()
    for name, value in shown.facts(detail.exchange, marks):
        print_line(screen, f"{name:<12} {value}")
    for title, lines in (("request", asked(detail)), ("reply", answered(detail))):
        screen.print(f"\n{title}", style="bold")
        for line in lines:
            print_line(screen, f"  {line}")
    if detail.decisions:
        screen.print("\ndecisions", style="bold")
        screen.print(shown.decision_table(detail.decisions))
    if detail.related:
        screen.print("\nrelated", style="bold")
        screen.print(shown.exchange_table(detail.related, screen.width))
    if any(changes(detail)):
        print(f"\nWhat was changed: lockgate log diff {detail.exchange.id[-shown.SHORT_ID :]}")


UNSEEN = (
    "What was changed ({}) reads the same before and after: what a rule makes unreadable is so in both,"
    " or only the spelling differs."
)


@app.command
def diff(id: Id, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """Show what the rules changed in an exchange: original against final, of the request and the reply."""
    from lockgate.cli.shown import coloured
    from lockgate.storage.shapes import changes, document
    from lockgate.storage.shapes import diff as compared

    changed = [(*change, compared(*change)) for change in changes(_exchange(config, id)[0])]
    if json_:
        whole = {
            name: {
                "original": document(original.content), "final": document(final.content), "diff": lines
            }
            for name, original, final, lines in changed
        }  # fmt: skip
        print(json.dumps(whole, indent=2))
        return
    for *_, lines in changed:
        if lines:
            console().print(coloured(lines), soft_wrap=True)
    if not any(lines for *_, lines in changed):
        print(UNSEEN.format(", ".join(name for name, *_ in changed)) if changed else "Nothing was changed.")


def _exchange(config: Path | None, id: str) -> tuple[ExchangeDetail, Marks]:
    async def asked(log: Queries) -> tuple[ExchangeDetail, Marks]:
        if (detail := await log.exchange(id)) is None:
            raise no_such(id)
        found = await log.marks([detail.exchange])
        return detail, found.get(detail.exchange.id, NO_MARKS)

    return ask(config, asked)
