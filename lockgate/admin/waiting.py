"""Tells whoever watches that the calls that wait for a person are others now. The database may be told of much else."""

from __future__ import annotations

from lockgate.activity import Activity, Approvals
from lockgate.storage.approvals import ApprovalDesk


class Waiting:
    """Looks after each signal, where anybody watches: a page that begins to watch looks by itself."""

    def __init__(self, approvals: ApprovalDesk, activity: Activity) -> None:
        self._approvals, self._activity = approvals, activity
        self._known: list[str] | None = None

    async def look(self) -> None:
        """Raises StorageError."""
        if not self._activity.is_watched:
            self._known = None
            return
        found = await self._approvals.waiting()
        if found != self._known:
            self._known = found
            self._activity.tell(Approvals())
