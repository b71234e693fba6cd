"""What was used of budgets, in SQL: one sum for each subject and period, added to in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.access.budgets import Key, Sum
from lockgate.storage.access_models import BudgetUseModel, ProjectModel, TokenModel


def sums(at: Connection, keys: Sequence[Key]) -> Mapping[Key, Sum]:
    """Those that there are."""
    wanted = tuple_(_USE.c.subject_id, _USE.c.period).in_(keys)
    return {Key(row.subject_id, row.period): Sum(row.tokens, row.nano_usd) for row in at.execute(_READ.where(wanted))}


def add(at: Connection, more: Mapping[Key, Sum]) -> Mapping[Key, Sum]:
    """What the sums are with that added."""
    insert = (postgresql if at.dialect.name == "postgresql" else sqlite).insert(_USE)
    changes: dict[str, Any] = {name: _USE.c[name] + insert.excluded[name] for name in ("tokens", "nano_usd")}
    statement = insert.on_conflict_do_update(index_elements=["subject_id", "period"], set_=changes).returning(
        _USE.c.tokens, _USE.c.nano_usd
    )
    after: dict[Key, Sum] = {}
    for key, sum in sorted(more.items()):  # in order, so that two proxies never wait for each other
        row = {"subject_id": key.subject, "period": key.period, "tokens": sum.tokens, "nano_usd": sum.nano_usd}
        after[key] = Sum(*at.execute(statement, row).one())
    return after


def forget_gone(at: Connection) -> None:
    """Remove the sums of tokens and projects that are not there any more."""
    there = select(_TOKEN.c.id).union_all(select(_PROJECT.c.id))
    at.execute(delete(_USE).where(_USE.c.subject_id.not_in(there)))


_USE, _TOKEN, _PROJECT = (cast(Table, model.__table__) for model in (BudgetUseModel, TokenModel, ProjectModel))
_READ = select(_USE)
