"""`lockgate db check`: what is wrong with the log, a sentence each."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from cyclopts import Parameter

from lockgate.cli.reading import ConfigFile, Json
from lockgate.config import load_config


def check(
    *,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Check every message, not 10,000 of each kind.")
    ] = False,
    repair: Annotated[
        bool, Parameter(negative=(), help="End exchanges that are open for more than a day, as `cut`.")
    ] = False,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Look for what is wrong with the database, its messages and what waits for it; the exit code is then 1."""
    from lockgate.storage.check import check as look
    from lockgate.storage.unfinished import repair as end

    settings = load_config(config)
    repaired = end(settings.database) if repair else 0
    found = look(
        settings.database,
        spill=settings.home / "spill",
        free_bytes=settings.limits.spill_free_bytes,
        every=all_,
    )
    if repaired:
        found.known.append(f"{repaired:,} exchanges that were left open now end as `cut`")
    if json_:
        print(json.dumps({"wrong": found.wrong, "known": found.known}, indent=2))
    else:
        print("\n".join((*found.known, *(f"WRONG: {line}" for line in found.wrong))))
        print("Something is wrong." if found.wrong else "Nothing is wrong.")
    sys.exit(1 if found.wrong else 0)
