"""`lockgate kill`: stop a session, an agent, a model, a host or everything, at once, on every proxy of the database."""

from __future__ import annotations

import getpass
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from lockgate.cli.reading import ConfigFile, Json, console
from lockgate.config import load_config
from lockgate.errors import Error, StorageError
from lockgate.records import Kill, KillScope, now
from lockgate.units import span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lockgate.config import Config
    from lockgate.storage.kills import Kills

app = App(name="kill", help="Stop sessions, agents, models, hosts or everything, at once, on every proxy.")

SHORT_ID = 8
REASON_CHARACTERS = 1_000

type By = Annotated[str | None, Parameter(help="Who does it; by default the user of this system.")]


@app.default
def kill(
    *,
    session: Annotated[str | None, Parameter(help="Its id, the beginning or end of it, or the agent's marker.")] = None,
    agent: Annotated[str | None, Parameter(help="Such as claude-code; `*` stands for any characters.")] = None,
    model: Annotated[str | None, Parameter(help="A model; `*` stands for any characters.")] = None,
    host: Annotated[str | None, Parameter(help="A host; `*` stands for any characters.")] = None,
    project: str | None = None,
    token: Annotated[str | None, Parameter(help="The id of a token.")] = None,
    all_: Annotated[bool, Parameter(name="--all", negative=(), help="Everything that passes Lockgate.")] = False,
    for_: Annotated[str | None, Parameter(name="--for", help="For so long: 30m, 2h, 7d; else until lifted.")] = None,
    reason: Annotated[str, Parameter(help="Why. Clients, and so their models, are told it.")] = "",
    by: By = None,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Stop what is named: new requests are refused, held calls denied, open streams cut."""
    named: dict[KillScope, str | None] = {
        "session": session, "agent": agent, "model": model, "host": host, "project": project, "token": token,
    }  # fmt: skip
    given: dict[KillScope, str] = {scope: value.strip() for scope, value in named.items() if value is not None}
    if len(given) + all_ != 1 or not all(given.values()):
        raise Error("name one thing to stop: --session, --agent, --model, --host, --project, --token or --all")
    if len(reason) > REASON_CHARACTERS:
        raise Error(f"a reason has at most {REASON_CHARACTERS:,} characters: clients are shown it")
    scope: KillScope = next(iter(given)) if given else "all"
    target = given.get(scope, "")
    settings, until = load_config(config), None if for_ is None else _end_of(for_)
    wanted = Kill(scope=scope, target=target, set_by=by or _user(), reason=reason.strip(), until=until)
    try:
        done = _act(settings, lambda kills: kills.stop(wanted))
    except StorageError as error:
        if scope != "all":
            raise
        _write_file(settings, wanted, error)
        return
    if json_:
        print(json.dumps(_json(done), indent=2))
    else:
        short = done.id[-SHORT_ID:]
        print(f"Stopped: {done.what}{_until(done)}. `lockgate kill lift {short}` lets it go on.")


@app.command(name="list")
def list_(
    *,
    past: Annotated[bool, Parameter(negative=(), help="Also those that were lifted or have passed.")] = False,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show what is stopped, by whom and why."""
    from lockgate.storage.kills import Kills

    settings = load_config(config)
    found = [*_of_file(settings)]
    try:
        with Kills(settings.database) as kills:
            found += kills.every() if past else kills.in_force()
    except StorageError:
        if found and not json_:
            _print(found)
        raise
    if json_:
        print(json.dumps([_json(one) for one in found], indent=2))
    elif found:
        _print(found)
    else:
        print("Nothing is stopped.")


@app.command
def lift(
    id: Annotated[str, Parameter(help="Its id, or the beginning or end of it; `file` for the stop file.")],
    /,
    *,
    by: By = None,
    config: ConfigFile = None,
) -> None:
    """Let go on what was stopped."""
    settings = load_config(config)
    if id == "file":
        try:
            settings.stop_file.unlink()
        except OSError as error:
            raise Error(f"the stop file {settings.stop_file} cannot be removed: {error.strerror}") from error
        print(f"The stop file {settings.stop_file} is removed.")
        return
    print(f"Lifted: {_act(settings, lambda kills: kills.lift(id, by or _user())).what}.")


def _act(settings: Config, act: Callable[[Kills], Kill]) -> Kill:
    from lockgate.cli.noting import book_of
    from lockgate.storage.kills import Kills

    with Kills(settings.database, book_of(settings)) as kills:
        return act(kills)


def _write_file(settings: Config, wanted: Kill, error: StorageError) -> None:
    """What works without a database, for the proxies that look at this file."""
    from lockgate.addons.stop_file import write

    try:
        write(settings.stop_file, wanted.reason)
    except OSError as failed:
        raise Error(f"{error}; and the stop file {settings.stop_file} cannot be written: {failed.strerror}") from failed
    print(f"lockgate: {error}", file=sys.stderr)
    print(
        f"Stopped: everything, by the stop file {settings.stop_file}, which only proxies with that file look at, until"
        " `lockgate kill lift file` removes it."
    )


def _of_file(settings: Config) -> Sequence[Kill]:
    from lockgate.addons.stop_file import look

    found, sentence = look(settings.stop_file)
    if sentence:
        print(f"lockgate: {sentence}", file=sys.stderr)
    return [found] if found else []


def _print(found: Sequence[Kill]) -> None:
    from rich.table import Table
    from rich.text import Text

    from lockgate.cli.shown import one_line, time_of

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("since", "id", "what", "by", "until", "reason"):
        table.add_column(name, no_wrap=name != "reason")
    for one in found:
        until = f"lifted by {one.lifted_by}" if one.lifted_at else time_of(one.until) if one.until else "it is lifted"
        cells = (time_of(one.created_at), one.id[-SHORT_ID:], one.what, one.set_by, until, one.reason)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    console().print(table)


def _until(kill: Kill) -> str:
    return f" until {kill.until.astimezone():%Y-%m-%d %H:%M:%S}" if kill.until else ""


def _json(kill: Kill) -> dict[str, Any]:
    values = asdict(kill) | {"in_force": kill.holds(now())}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _end_of(text: str) -> datetime:
    try:
        if length := span(text):
            return now() + length
    except OverflowError:
        pass  # as good as for ever
    raise Error(f"{text!r} is no time to stop something for: give 30m, 2h or 7d, or nothing until it is lifted")


def _user() -> str:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return ""
