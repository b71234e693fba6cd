"""What the commands of access share: opening the database, printing, and options that make a grant."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel

from lockgate.config import load_config, read_file
from lockgate.errors import Error
from lockgate.units import span
from lockgate.validation import validate

if TYPE_CHECKING:
    from lockgate.access.administrators import Administrator, AdministratorKey
    from lockgate.access.grant import Grant
    from lockgate.access.keyring import Keyring
    from lockgate.access.records import Project, ProviderKey, Token
    from lockgate.storage.audit import Book


def _help(text: str) -> Parameter:
    return Parameter(help=text, negative=(), consume_multiple=False)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Options that say what a project or token may do. What is not given is not limited, or stays as it is."""

    provider: Annotated[tuple[str, ...], _help("Only this provider or host; may be given again.")] = ()
    model: Annotated[tuple[str, ...], _help("Only models like this: claude-*; may be given again.")] = ()
    method: Annotated[tuple[str, ...], _help("Only this HTTP method; may be given again.")] = ()
    endpoint: Annotated[tuple[str, ...], _help("Only this path: /v1/messages, /v1/files/*; may be given again.")] = ()
    origin: Annotated[tuple[str, ...], _help("Only web pages of this origin: https://HOST; may be given again.")] = ()
    address: Annotated[tuple[str, ...], _help("Only clients of this address or network; may be given again.")] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: Annotated[int | None, _help("So many exchanges at the same time.")] = None
    budget: Annotated[tuple[str, ...], _help("What may be used up: $5/day, 2000000/month, $100/life.")] = ()
    policy: Annotated[str | None, _help("A policy set that ships, or of `policy_sets`: its rules hold too.")] = None
    grant: Annotated[Path | None, _help("A YAML file with all of it; the options above go before it.")] = None

    def over(self, before: Grant, config: Path | None) -> Grant:
        """The grant with what was given. Raises ConfigError for what does not fit."""
        from lockgate.access.grant import Grant
        from lockgate.policies.pack import further_rules

        file = read_file(self.grant) if self.grant else before.model_dump(mode="json", exclude_defaults=True)
        allow = {"providers": self.provider, "models": self.model, "methods": self.method}
        allow |= {"endpoints": self.endpoint, "addresses": self.address, "origins": self.origin}
        limits = {name: getattr(self, name) for name in ("requests_per_minute", "tokens_per_minute", "concurrent")}
        document: dict[str, Any] = {
            **file,
            "allow": {**file.get("allow", {}), **{name: given for name, given in allow.items() if given}},
            "limits": {
                **file.get("limits", {}),
                **{name: given for name, given in limits.items() if given is not None},
            },
            **({"budgets": [_budget(text) for text in self.budget]} if self.budget else {}),
            **({} if self.policy is None else {"policy": self.policy}),
        }
        grant = validate(Grant, document, str(self.grant or "the grant"))
        if grant.policy and grant.policy != before.policy:
            further_rules(load_config(config), grant.policy)
        return grant


NOTHING = Grants()


def opening[Opened](
    kind: Callable[[str, Keyring, Book], AbstractContextManager[Opened]], config: Path | None
) -> AbstractContextManager[Opened]:
    """The database of access that the configuration names; an SQLite file is made, or brought up to date.

    What is changed there is noted in the audit trail.
    """
    from lockgate.access.keyring import keyring_of
    from lockgate.cli.noting import book_of
    from lockgate.storage import schema
    from lockgate.storage.address import parse

    settings = load_config(config)
    if (address := parse(settings.database)).kind == "sqlite" and schema.version(address) != schema.HEAD:
        schema.upgrade(settings.database)
    return kind(settings.database, keyring_of(settings), book_of(settings))


def lifetime(text: str) -> timedelta:
    """Raises Error for what is no span of time."""
    try:
        return span(text)
    except OverflowError as error:
        raise Error(f"{text!r} is longer than a token lives: 365d at most") from error


def json_of(record: Project | Token | ProviderKey | Administrator | AdministratorKey, **more: Any) -> dict[str, Any]:
    values = asdict(record) | more
    return {name: _plain(value) for name, value in values.items()}


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from lockgate.cli.reading import console
    from lockgate.cli.shown import one_line

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    """One to a line; those that say nothing are left out."""
    from lockgate.cli.shown import plain

    for name, value in facts.items():
        if value:
            print(f"{name:<10} {plain(value)}")


def grant_text(grant: Grant) -> str:
    """The grant as YAML would have it, on one line; empty where it says nothing."""
    document = grant.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(document)[1:-1] if document else ""


def _budget(text: str) -> dict[str, Any]:
    amount, _, period = text.partition("/")
    try:
        value: dict[str, Any] = {"usd": float(amount[1:])} if amount.startswith("$") else {"tokens": int(amount)}
    except ValueError as error:
        raise Error(f"{text!r} is no budget: write $5/day, or 2000000/month for tokens") from error
    return {"per": period, **value}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case BaseModel():
            return value.model_dump(mode="json", exclude_defaults=True)
        case _:
            return value
