"""How the log is, as parts of the proxy's health: whether its database takes what comes, and what waits for it."""

from __future__ import annotations

from lockgate.health import Degraded
from lockgate.storage.log import SqlLog

NEARLY_FULL = 0.8
"""Of what may wait on the disk: from here on it is told."""


def database(log: SqlLog) -> Degraded | None:
    """Away, it stops nothing for as long as there is room for what waits."""
    if stopped := log.stopped:
        what = "the log has stopped, and no exchange is let in that it cannot record: start the proxy anew"
        return Degraded(what=what, since=stopped.since, detail=stopped.cause, is_fatal=True)
    if away := log.away:
        what = "the database cannot be written to: what is recorded waits"
        return Degraded(what=what, since=away.since, detail=away.cause, is_fatal=log.backlog.is_full)
    if since := log.behind_since:
        what = "the database takes less than is recorded: some of it waits"
        return Degraded(what=what, since=since, detail=f"{log.waiting_rows:,} records wait")
    return None


def spill(log: SqlLog) -> Degraded | None:
    """Full, it lets no exchange begin."""
    if why := log.backlog.blocked:
        what = "there is no more room for what waits for the database: exchanges wait too, or are refused"
        return Degraded(what=what, since=log.backlog.blocked_since, detail=why, is_fatal=True)
    if log.spill is None or (since := log.behind_since) is None:
        return None
    size, limit = log.spill.size, log.spill.limit_bytes
    if size < NEARLY_FULL * limit:
        return None
    detail = f"{size:,} of limits.spill_bytes, {limit:,}"
    return Degraded(what="there is little room left for what waits for the database", since=since, detail=detail)
