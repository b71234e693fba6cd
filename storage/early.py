"""Records that came before what they point to. They wait, so that the order of `put`s loses nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.records import AuditEntry, Comm, Decision, ExchangeRow, FramesRow, Record, Relation, SessionRow, TurnRow


class Early:
    """Holds a bounded number of records; the oldest gives way."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._held: list[Record] = []

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(self._held)

    def hold(self, record: Record) -> Record | None:
        """Keep this one. Gives back the one that has to leave for it, if any."""
        self._held.append(record)
        return self._held.pop(0) if len(self._held) > self._rows else None

    def joined(self, batch: Sequence[Record]) -> list[Record]:
        """The batch, followed by those held that point into it, or to one another."""
        joined = list(batch)
        ids = {record.id for record in batch}
        while found := [record for record in self._held if ids & points_to(record)]:
            self._held = [record for record in self._held if not ids & points_to(record)]
            joined += found
            ids |= {record.id for record in found}
        return joined

    def take_all(self) -> list[Record]:
        held, self._held = self._held, []
        return held


def points_to(record: Record) -> set[str]:
    """The ids of the records that must be there before this one."""
    match record:
        case Comm() | Decision() | TurnRow() | FramesRow():
            return {record.exchange_id}
        case Relation():
            return {record.from_comm_id, record.to_comm_id}
        case ExchangeRow() | SessionRow() | AuditEntry():
            return set()
