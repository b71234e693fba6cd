"""`lockgate config`: what is in force, and where each value came from."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import App, Parameter

from lockgate.config import Loaded, load

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
        print(json.dumps({name: _told(loaded, name, value) for name, value in values.items()}, indent=2))
        return
    for name, value in values.items():
        _print(loaded, name, value)


def _print(loaded: Loaded, name: str, value: Any, indent: str = "") -> None:
    """A value with its origin, or each key of a section with its own."""
    key = name if not indent else name.partition(".")[2]
    if _is_plain(value):
        print(f"{indent}{key}:{_yaml(value)}  # {loaded.origin(name)}")
    elif isinstance(value, dict) and not indent:
        print(f"{key}:")
        for each, inner in cast(dict[str, Any], value).items():
            _print(loaded, f"{name}.{each}", inner, "  ")
    else:
        print(f"{indent}{key}:  # {loaded.origin(name)}{textwrap.indent(_yaml(value), indent)}")


def _told(loaded: Loaded, name: str, value: Any) -> dict[str, Any]:
    told = {"value": value, "origin": loaded.origin(name)}
    if not isinstance(value, dict):
        return told
    return told | {"keys": {key: loaded.origin(f"{name}.{key}") for key in cast(dict[str, Any], value)}}


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
