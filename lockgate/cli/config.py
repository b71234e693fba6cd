"""`lockgate config`: what is in force, and where each value came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from lockgate.config import load

app = App(name="config", help="Show the configuration in force.")


@app.command
def show(*, config: Path | None = None, json_: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """Print every value with its origin: the default, a file, the environment.

    Parameters
    ----------
    config
        The configuration file; otherwise ./lockgate.yaml, else the user's own.
    json_
        Print JSON.
    """
    from lockgate.storage.address import parse

    loaded = load(config)
    values: dict[str, Any] = loaded.config.model_dump(mode="json", by_alias=True)
    values["database"] = parse(loaded.config.database).clean(values["database"])
    if json_:
        print(json.dumps({name: {"value": values[name], "origin": loaded.origins[name]} for name in values}, indent=2))
        return
    for name, value in values.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        print(f"{name}: {shown}  # {loaded.origins[name]}")
