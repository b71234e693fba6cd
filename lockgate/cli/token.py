"""`lockgate token`: credentials that wither, in the place of provider keys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lockgate.cli.granting import (
    NOTHING,
    Grants,
    grant_text,
    json_of,
    lifetime,
    opening,
    print_facts,
    print_json,
    print_table,
)
from lockgate.cli.reading import ConfigFile, Json
from lockgate.errors import Error
from lockgate.records import now
from lockgate.units import moment

if TYPE_CHECKING:
    from lockgate.access.records import Token

app = App(name="token", help="Tokens: credentials that wither, in the place of provider keys.")

DAYS_KEPT = "30d"

type TokenId = Annotated[str, Parameter(help="Its id, whose beginning or end is enough.")]
type Lifetime = Annotated[str, Parameter(name="--for", help="How long it lives: 30m, 12h, 90d; 365d at most.")]
type Labels = Annotated[
    tuple[str, ...], Parameter(help="A word to sort it by; may be given again.", negative=(), consume_multiple=False)
]
type Quota = Annotated[int | None, Parameter(help="How many requests it is good for.")]


@app.command
def create(
    project: Annotated[str, Parameter(help="The project's name or id.")],
    /,
    *,
    for_: Lifetime = "24h",
    name: Annotated[str, Parameter(help="What it is for.")] = "",
    label: Labels = (),
    quota: Quota = None,
    grants: Grants = NOTHING,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make a token. It is shown once, here."""
    from lockgate.access.grant import Grant
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        secret, made = access.create_token(
            project,
            lifetime=lifetime(for_),
            name=name,
            labels=label,
            request_quota=quota,
            grant=grants.over(Grant(), config),
        )
    _told(secret, made, json_=json_)


@app.command(name="list")
def list_(
    *,
    project: Annotated[str | None, Parameter(help="Only those of this project.")] = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Also those that cannot be used any more.")
    ] = False,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """List tokens, the newest first."""
    from lockgate.cli.shown import SHORT_ID, time_of
    from lockgate.storage.access import Access

    at = now()
    with opening(Access, config) as access:
        found = [one for one in access.tokens(project=project) if all_ or one.standing(at) == "active"]
    if json_:
        print_json([json_of(one, standing=one.standing(at)) for one in found])
    elif found:
        rows = [
            (
                one.id[-SHORT_ID:], one.hint, one.project, one.name, one.standing(at), time_of(one.expires_at),
                _used(one), time_of(one.last_used_at) if one.last_used_at else "never", ", ".join(one.labels),
            )
            for one in found
        ]  # fmt: skip
        print_table(("id", "token", "project", "name", "standing", "ends", "requests", "last used", "labels"), rows)
    else:
        print("No token" + ("" if all_ else " that can be used") + ": lockgate token create PROJECT")


@app.command
def show(id: TokenId, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """Show one token, and never the token itself."""
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        _show(access.token(id), json_=json_)


@app.command
def update(
    id: TokenId,
    /,
    *,
    name: str | None = None,
    label: Labels = (),
    quota: Quota = None,
    grants: Grants = NOTHING,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Change what a token may do. How long it lives is changed by `refresh`."""
    from lockgate.storage.access import Access

    changes: dict[str, object] = {} if name is None else {"name": name}
    changes |= {"labels": label} if label else {}
    changes |= {"request_quota": quota} if quota is not None else {}
    with opening(Access, config) as access:
        if grants != NOTHING:
            changes["grant"] = grants.over(access.token(id).grant, config)
        if not changes:
            raise Error("nothing to change was given: `lockgate token update --help` shows what there is")
        _show(access.update_token(id, **changes), json_=json_)


@app.command
def refresh(id: TokenId, /, *, for_: Lifetime = "24h", json_: Json = False, config: ConfigFile = None) -> None:
    """Make a new token in the place of this one, which cannot be used from then on."""
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        secret, made = access.refresh_token(id, lifetime=lifetime(for_))
    _told(secret, made, json_=json_)


@app.command
def revoke(
    id: Annotated[str | None, Parameter(help="Its id, whose beginning or end is enough.")] = None,
    /,
    *,
    project: Annotated[str | None, Parameter(help="All of this project.")] = None,
    older_than: Annotated[str | None, Parameter(help="All made longer ago: 30d, or before a time: 2026-11-21.")] = None,
    config: ConfigFile = None,
) -> None:
    """Revoke one token, or all of a project, or all that are older; streams that they opened are cut."""
    from lockgate.storage.access import Access

    if (id is None) == (project is None and older_than is None):
        raise Error("give the id of one token, or --project, or --older-than")
    with opening(Access, config) as access:
        if id is not None:
            access.revoke_token(id)
            print("The token is revoked.")
            return
        count = access.revoke_tokens(project=project, before=moment(older_than) if older_than else None)
    print(f"{count:,} {'token is' if count == 1 else 'tokens are'} revoked.")


@app.command
def clean(
    *,
    older_than: Annotated[str, Parameter(help="Only those that ended longer ago.")] = DAYS_KEPT,
    config: ConfigFile = None,
) -> None:
    """Remove tokens that expired or were revoked. A proxy does so by itself now and then."""
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        count = access.clean_up(ended_before=moment(older_than))
    print(f"{count:,} {'token' if count == 1 else 'tokens'} removed.")


def _told(secret: str, made: Token, *, json_: bool) -> None:
    from lockgate.cli.shown import time_of

    if json_:
        print_json({"token": secret, **json_of(made)})
        return
    print(secret)
    ends = time_of(made.expires_at)
    print(
        f"It is shown this once. It ends {ends}; project {made.project}, id {made.id}.",
        file=sys.stderr,
    )


def _show(one: Token, *, json_: bool) -> None:
    from lockgate.cli.shown import time_of

    standing = one.standing(now())
    if json_:
        print_json(json_of(one, standing=standing))
        return
    print_facts({
        "id": one.id, "token": one.hint, "project": one.project, "name": one.name, "standing": standing,
        "created": time_of(one.created_at), "ends": time_of(one.expires_at), "requests": _used(one),
        "last used": time_of(one.last_used_at) if one.last_used_at else "never",
        "revoked": time_of(one.revoked_at) if one.revoked_at else "", "labels": ", ".join(one.labels),
        "may": grant_text(one.grant),
    })  # fmt: skip


def _used(one: Token) -> str:
    return f"{one.requests:,}" + (f" of {one.request_quota:,}" if one.request_quota is not None else "")
