"""`lockgate audit`: who administered what, and who was refused access. Only reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, validators

from lockgate.access.audit import as_json
from lockgate.cli.reading import ConfigFile, Json
from lockgate.cli.which import moment
from lockgate.config import load_config
from lockgate.errors import Error
from lockgate.records import AuditEntry, AuditOutcome

if TYPE_CHECKING:
    from lockgate.storage.trail import AuditFilter, Trail

app = App(name="audit", help="The audit trail: who administered what, and who was refused access.")

PAGE = 500


def _help(text: str) -> Parameter:
    return Parameter(help=text)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Which entries a command is about. What is not given is not looked at."""

    since: Annotated[str | None, _help("From this time on: 2h, 7d, 2026-11-21 or 2026-11-21T09:30.")] = None
    until: Annotated[str | None, _help("Until before this time.")] = None
    who: Annotated[str | None, _help("An administrator, cli:USER, the id of a token, or unknown.")] = None
    where: Annotated[str | None, _help("The client's address, or local.")] = None
    act: Annotated[str | None, _help("Such as token.create; token is all acts on tokens, access all refusals.")] = None
    subject: Annotated[str | None, _help("A part of what it is about, such as a name or an id.")] = None
    outcome: AuditOutcome | None = None
    text: Annotated[str | None, _help("Stands anywhere in the entry.")] = None

    def filter(self) -> AuditFilter:
        """Raises Error for what is no time."""
        from lockgate.storage.trail import AuditFilter

        return AuditFilter(
            who=self.who,
            where=self.where,
            act=self.act,
            subject=self.subject,
            outcome=self.outcome,
            text=self.text,
            since=None if self.since is None else moment(self.since),
            until=None if self.until is None else moment(self.until),
        )


@app.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=10_000))] = 50,
    before: Annotated[str | None, Parameter(help="Only those older than the entry with this whole id.")] = None,
    entries: Entries = Entries(),
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """List entries, the newest first."""
    where = entries.filter()
    found = _ask(config, lambda trail: trail.entries(limit=limit, before=before, where=where))
    if json_:
        print(json.dumps([as_json(one) for one in found], indent=2))
    elif found:
        _print(found)
    else:
        print("No entry fits." if entries != Entries() else "No entry yet.")


@app.command
def show(
    id: Annotated[str, Parameter(help="Its id, or the beginning or end of it.")],
    /,
    *,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show one entry whole."""
    from lockgate.cli.granting import print_facts
    from lockgate.cli.shown import one_line, time_of

    one = _ask(config, lambda trail: trail.find(id))
    if one is None:
        raise Error(f"no entry has the id {id!r}: `lockgate audit list` shows those that there are")
    if json_:
        print(json.dumps(as_json(one), indent=2))
        return
    facts = {"id": one.id, "time": time_of(one.at), "who": one.who, "where": one.where, "act": one.act}
    facts |= {"subject": one.subject, "outcome": one.outcome, "reason": one.reason}
    facts |= {"count": f"{one.count:,} until {time_of(one.last_at)}" if one.last_at else ""}
    facts |= {"before": one.before, "after": one.after}
    print_facts({name: one_line(value) for name, value in facts.items()})


@app.command
def export(
    *,
    output: Annotated[Path | None, Parameter(help="A new file; by default standard output.")] = None,
    entries: Entries = Entries(),
    config: ConfigFile = None,
) -> None:
    """Write entries as JSON, one to a line, the oldest first."""
    from lockgate.cli.export import opened

    where = entries.filter()
    with opened(output) as write:

        async def written(trail: Trail) -> int:
            count = 0
            async for one in _every(trail, where):
                write(json.dumps(as_json(one)) + "\n")
                count += 1
            return count

        count = _ask(config, written)
    if output:
        print(f"{count:,} entr{'y' if count == 1 else 'ies'} in {output}")


async def _every(trail: Trail, where: AuditFilter) -> AsyncIterator[AuditEntry]:
    """Page by page, so that what is written meanwhile is neither missed nor told twice."""
    from lockgate.storage.queries import FIRST

    after = FIRST
    while found := await trail.entries(limit=PAGE, after=after, where=where):
        for one in found:
            yield one
        after = found[-1].id


def _ask[T](config: Path | None, question: Callable[[Trail], Awaitable[T]]) -> T:
    from lockgate.storage.trail import Trail

    async def asked() -> T:
        async with Trail(load_config(config).database) as trail:
            return await question(trail)

    return asyncio.run(asked())


def _print(found: Sequence[AuditEntry]) -> None:
    from lockgate.cli.granting import print_table
    from lockgate.cli.shown import SHORT_ID, time_of

    rows = [
        (
            time_of(one.at), one.id[-SHORT_ID:], one.who, one.where, one.act, one.subject, one.outcome,
            f"{one.count:,}" if one.count > 1 else "", one.reason or _changes(one),
        )
        for one in found
    ]  # fmt: skip
    print_table(("time", "id", "who", "where", "act", "subject", "outcome", "times", "reason or change"), rows)


def _changes(entry: AuditEntry) -> str:
    """What it was and what it is, where that is short."""
    return f"{entry.before} → {entry.after}" if entry.before else entry.after
