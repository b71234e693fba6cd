"""`lockgate key`: the providers' own keys, which stand behind tokens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lockgate.cli.granting import json_of, opening, print_json, print_table
from lockgate.cli.reading import ConfigFile, Json
from lockgate.errors import Error

if TYPE_CHECKING:
    from lockgate.access.records import KeySource

app = App(name="key", help="Provider keys: what stands behind tokens.")

type KeyId = Annotated[str, Parameter(help="Its id, whose beginning or end is enough.")]


@app.command
def add(
    provider: Annotated[str, Parameter(help="anthropic, openai, google, or a model host.")],
    /,
    *,
    name: Annotated[str, Parameter(help="What it is called.")] = "main",
    project: Annotated[str | None, Parameter(help="For this project only.")] = None,
    env: Annotated[str | None, Parameter(help="The proxy reads it from this environment variable.")] = None,
    file: Annotated[Path | None, Parameter(help="The proxy reads it from this file.")] = None,
    command: Annotated[str | None, Parameter(help="The proxy asks this command, as a secret store's.")] = None,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Add a key: it is asked for, or read from standard input, and kept encrypted; or told where it stands."""
    from lockgate.storage.provider_keys import ProviderKeys

    source, value = _given(env, file, command)
    with opening(ProviderKeys, config) as keys:
        made = keys.add(provider, value, name=name, source=source, project=project)
    if json_:
        print_json(json_of(made))
    else:
        print(f"The key {made.name} for {made.provider} is there, id {made.id}.")


@app.command(name="list")
def list_(*, json_: Json = False, config: ConfigFile = None) -> None:
    """List provider keys, and never the keys themselves."""
    from lockgate.cli.shown import SHORT_ID, time_of
    from lockgate.storage.provider_keys import ProviderKeys

    with opening(ProviderKeys, config) as keys:
        found = keys.every()
    if json_:
        print_json([json_of(one) for one in found])
    elif found:
        rows = [
            (
                one.id[-SHORT_ID:], one.provider, one.name, one.project or "(all)", one.source, one.hint,
                "yes" if one.active else "no", time_of(one.last_used_at) if one.last_used_at else "never",
            )
            for one in found
        ]  # fmt: skip
        print_table(("id", "provider", "name", "project", "source", "key", "active", "last used"), rows)
    else:
        print("No provider key yet: lockgate key add PROVIDER")


@app.command
def enable(id: KeyId, /, *, config: ConfigFile = None) -> None:
    """Use a key again."""
    _set_active(id, config, active=True)


@app.command
def disable(id: KeyId, /, *, config: ConfigFile = None) -> None:
    """Keep a key, and do not use it."""
    _set_active(id, config, active=False)


@app.command
def remove(id: KeyId, /, *, config: ConfigFile = None) -> None:
    """Forget a key."""
    from lockgate.storage.provider_keys import ProviderKeys

    with opening(ProviderKeys, config) as keys:
        gone = keys.remove(id)
    print(f"The key {gone.name} for {gone.provider} is removed.")


@app.command
def reencrypt(*, config: ConfigFile = None) -> None:
    """Encrypt what an older secret has encrypted with the one in use, so that the older can go."""
    from lockgate.storage.provider_keys import ProviderKeys

    with opening(ProviderKeys, config) as keys:
        count = keys.reencrypt()
    print(f"{count:,} {'key was' if count == 1 else 'keys were'} encrypted anew.")


def _set_active(id: str, config: Path | None, *, active: bool) -> None:
    from lockgate.storage.provider_keys import ProviderKeys

    with opening(ProviderKeys, config) as keys:
        one = keys.set_active(id, active=active)
    print(f"The key {one.name} for {one.provider} is {'in use' if active else 'out of use'}.")


def _given(env: str | None, file: Path | None, command: str | None) -> tuple[KeySource, str]:
    named: list[tuple[KeySource, str]] = []
    if env is not None:
        named.append(("environment", env))
    if file is not None:
        named.append(("file", str(file.expanduser().absolute())))
    if command is not None:
        named.append(("command", command))
    if len(named) > 1:
        raise Error("a key stands in one place: give one of --env, --file and --command")
    return named[0] if named else ("kept", _asked())


def _asked() -> str:
    """The key, without it being shown, or standing in the shell's history."""
    if not sys.stdin.isatty():
        return sys.stdin.read().strip()
    from getpass import getpass

    return getpass("The provider's key (it is not shown): ").strip()
