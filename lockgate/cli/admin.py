"""`lockgate admin`: who manages Lockgate over the management API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from lockgate.access.administrators import Role, checked_password
from lockgate.cli.granting import json_of, lifetime, opening, print_json, print_table
from lockgate.cli.reading import ConfigFile, Json
from lockgate.errors import Error
from lockgate.records import now

if TYPE_CHECKING:
    from lockgate.access.administrators import Administrator

app = App(name="admin", help="Administrators: who manages Lockgate over the management API.")
key = App(name="key", help="Keys of administrators, for programs.")
app.command(key)

type Named = Annotated[str, Parameter(help="Their name, or their id, whose beginning or end is enough.")]


@app.command
def create(
    name: str,
    /,
    *,
    role: Annotated[Role, Parameter(help="What they may do: each role more than the one before.")] = "viewer",
    password: Annotated[bool, Parameter(help="Without one, they can use keys only.")] = True,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make an administrator. The password is asked for, or read from standard input."""
    from lockgate.storage.administrators import Administrators

    with opening(Administrators, config) as people:
        made = people.create(name, role, password=_hashed() if password else None)
    _told(made, f"{made.name} is there, with the role {made.role}.", json_=json_)


@app.command(name="list")
def list_(*, json_: Json = False, config: ConfigFile = None) -> None:
    """List administrators, the newest first."""
    from lockgate.cli.shown import SHORT_ID, time_of
    from lockgate.storage.administrators import Administrators

    with opening(Administrators, config) as people:
        found = people.every()
    if json_:
        print_json([json_of(one) for one in found])
    elif found:
        rows = [
            (
                one.name, one.id[-SHORT_ID:], one.role, "yes" if one.active else "no",
                "yes" if one.has_password else "no", time_of(one.last_seen_at) if one.last_seen_at else "never",
            )
            for one in found
        ]  # fmt: skip
        print_table(("name", "id", "role", "active", "password", "last seen"), rows)
    else:
        print("No administrator yet: lockgate admin create NAME --role admin")


@app.command
def update(
    named: Named,
    /,
    *,
    role: Role | None = None,
    active: Annotated[bool | None, Parameter(help="Whether they may enter.")] = None,
    password: Annotated[
        bool | None, Parameter(help="Ask for a new password, or take theirs away; their sessions are over.")
    ] = None,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Change an administrator; they feel it at once."""
    from lockgate.storage.administrators import Administrators

    changes: dict[str, Any] = {} if role is None else {"role": role}
    changes |= {} if active is None else {"active": active}
    if password is None and not changes:
        raise Error("nothing to change was given: `lockgate admin update --help` shows what there is")
    with opening(Administrators, config) as people:
        people.one(named)
        if password is not None:
            changes["password"] = _hashed() if password else None
        made = people.update(named, **changes)
    _told(made, f"{made.name} is changed: role {made.role}{'' if made.active else ', not active'}.", json_=json_)


@app.command
def remove(named: Named, /, *, config: ConfigFile = None) -> None:
    """Remove an administrator, with keys and sessions."""
    from lockgate.storage.administrators import Administrators

    with opening(Administrators, config) as people:
        gone = people.remove(named)
    print(f"{gone.name} is removed.")


@key.command(name="create")
def create_key(
    named: Named,
    /,
    *,
    name: Annotated[str, Parameter(help="What it is for.")] = "",
    for_: Annotated[
        str | None, Parameter(name="--for", help="How long it is good: 12h, 90d; else until removed.")
    ] = None,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make a key. It is shown once, here."""
    from lockgate.storage.administrators import Administrators

    ends = None if for_ is None else now() + lifetime(for_)
    with opening(Administrators, config) as people:
        secret, made = people.add_key(named, name=name, expires_at=ends)
    if json_:
        print_json({"key": secret, **json_of(made)})
        return
    print(secret)
    print(f"It is shown this once. Its id is {made.id}.", file=sys.stderr)


@key.command(name="list")
def list_keys(named: Named, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """List the keys of an administrator, and never the keys themselves."""
    from lockgate.cli.shown import SHORT_ID, time_of
    from lockgate.storage.administrators import Administrators

    with opening(Administrators, config) as people:
        found = people.keys(named)
    if json_:
        print_json([json_of(one) for one in found])
        return
    rows = [
        (
            one.id[-SHORT_ID:], one.hint, one.name, time_of(one.expires_at) if one.expires_at else "never",
            time_of(one.last_used_at) if one.last_used_at else "never",
        )
        for one in found
    ]  # fmt: skip
    print_table(("id", "key", "name", "ends", "last used"), rows)


@key.command(name="remove")
def remove_key(
    named: Named,
    id: Annotated[str, Parameter(help="The key's id, whose beginning or end is enough.")],
    /,
    *,
    config: ConfigFile = None,
) -> None:
    """End a key."""
    from lockgate.storage.administrators import Administrators

    with opening(Administrators, config) as people:
        gone = people.remove_key(named, id)
    print(f"The key {gone.hint} is removed.")


def _told(one: Administrator, sentence: str, *, json_: bool) -> None:
    if json_:
        print_json(json_of(one))
    else:
        print(sentence)


def _hashed() -> str:
    """What is kept of a password that is asked for, without it being shown, or standing in the shell's history."""
    from lockgate.access.passwords import hashed

    if not sys.stdin.isatty():
        return hashed(checked_password(sys.stdin.readline().rstrip("\r\n")))
    from getpass import getpass

    given = checked_password(getpass("Password (it is not shown): "))
    if getpass("The same again: ") != given:
        raise Error("these were two different passwords: nothing is changed")
    return hashed(given)
