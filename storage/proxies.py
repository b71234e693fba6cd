"""The proxies at a database: each keeps a row of its own, and says in it that it is still there.

Times are the database's, so that machines whose clocks differ agree on who is lost; an SQLite file's are the machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import Connection, Table, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.records import now
from lockgate.storage.heartbeat import BEAT_SECONDS, Run, Serving
from lockgate.storage.models import ProxyModel

type Clock = Callable[[Connection], datetime]
type State = Literal["serving", "lost", "ended"]

LOST = timedelta(seconds=3 * BEAT_SECONDS)
"""Unseen for longer, a proxy is taken for lost: its process was killed, or cannot reach the database."""
ENDED_KEPT = timedelta(days=1)
LOST_KEPT = timedelta(days=7)
MOST = 50
"""Rows that are shown."""

_PROXIES = cast(Table, ProxyModel.__table__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One run of a proxy."""

    id: str
    name: str
    """Its machine, and the number of its process there."""
    version: str
    listen: tuple[str, ...]
    started_at: datetime
    """By its own clock."""
    seen_at: datetime
    ended_at: datetime | None
    state: State
    """`ended` by its own word; `lost` where it was not seen for half a minute."""
    policy_set: str
    open_exchanges: int
    held: int


def database_clock(at: Connection) -> datetime:
    return now() if at.dialect.name == "sqlite" else at.execute(select(func.clock_timestamp())).scalar_one()


def beat(at: Connection, run: Run, serving: Serving, *, clock: Clock = database_clock, ended: bool = False) -> None:
    """The proxy is there, or says that it ends. What others left behind long ago is removed."""
    moment = clock(at)
    seen = asdict(serving) | {"seen_at": moment, "ended_at": moment if ended else None}
    insert = postgresql.insert if at.dialect.name == "postgresql" else sqlite.insert
    at.execute(insert(_PROXIES).values(**asdict(run), **seen).on_conflict_do_update(index_elements=["id"], set_=seen))
    old = or_(_PROXIES.c.ended_at < moment - ENDED_KEPT, _PROXIES.c.seen_at < moment - LOST_KEPT)
    at.execute(delete(_PROXIES).where(old))


def proxies(at: Connection, *, clock: Clock = database_clock, limit: int = MOST) -> list[Proxy]:
    """Those that serve or are lost, and then those that ended; of each the one that was seen last first."""
    moment = clock(at)
    query = select(_PROXIES).order_by(_PROXIES.c.ended_at.is_not(None), _PROXIES.c.seen_at.desc(), _PROXIES.c.id)
    return [_proxy(dict(row), moment) for row in at.execute(query.limit(limit)).mappings()]


def _proxy(row: dict[str, Any], moment: datetime) -> Proxy:
    name = f"{row.pop('host')}/{row.pop('pid')}"
    state: State = "ended" if row["ended_at"] else "lost" if moment - row["seen_at"] > LOST else "serving"
    return Proxy(**row, name=name, state=state)
