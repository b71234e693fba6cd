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
        print(
            f"{name}:{_yaml(value)}  # {loaded.origins[name]}"
            if _is_plain(value)
            else f"{name}:  # {loaded.origins[name]}{_yaml(value)}"
        )


def _is_plain(value: Any) -> bool:
    return not (isinstance(value, dict | list) and value)


def _yaml(value: Any) -> str:
    """The value as it would stand behind its key in a file."""
    from io import StringIO

    from ruamel.yaml import YAML

    if _is_plain(value):
        return f" {value if isinstance(value, str) else json.dumps(value)}"
    text, writer = StringIO(), YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    writer.dump(value, text)  # pyright: ignore[reportUnknownMemberType]
    return "".join(f"\n  {line}" for line in text.getvalue().splitlines())
