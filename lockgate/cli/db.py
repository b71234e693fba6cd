"""`lockgate db`: the database that the log is kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lockgate.config import load_config
from lockgate.storage import schema
from lockgate.storage.address import parse

app = App(name="db", help="Look after the log's database.")
app.command("lockgate.cli.prune:prune", help="Remove exchanges that are old or too many.")
app.command("lockgate.cli.backup:backup", help="Write the whole log to a file.")
app.command("lockgate.cli.backup:restore", help="Take a backup or an archive back.")
app.command("lockgate.cli.check:check", help="Look for what is wrong with the log.")

type ConfigFile = Annotated[Path | None, Parameter(name="--config", help="The configuration file.")]


@app.command
def upgrade(*, config: ConfigFile = None) -> None:
    """Make the tables, or bring them up to date. An SQLite file is made; a PostgreSQL database has to exist."""
    url = load_config(config).database
    before = schema.upgrade(url)
    where = schema.place(parse(url))
    if before == schema.HEAD:
        print(f"{where} is up to date (version {schema.HEAD}).")
    elif before is None:
        print(f"{where} is ready (version {schema.HEAD}).")
    else:
        print(f"{where} was upgraded from version {before} to {schema.HEAD}.")


@app.command
def current(
    *,
    json_: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """Tell the database's version, and the one that this Lockgate needs. Nothing is made or changed."""
    address = parse(load_config(config).database)
    found = schema.version(address)
    if json_:
        print(json.dumps({"database": address.shown, "version": found, "needed": schema.HEAD}, indent=2))
        return
    if found is None:
        state = "no log yet"
    else:
        state = f"version {found}" + ("" if found == schema.HEAD else f", {schema.HEAD} is needed: lockgate db upgrade")
    print(f"{schema.place(address)}: {state}")
