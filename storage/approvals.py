"""What people decide: the calls that wait for them, listed, shown and decided; for the command line and the console.

A row that nobody decided about is expired once its deadline has passed, whoever looks and whatever became of its proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Connection, Select, and_, or_, select

from lockgate.errors import Error
from lockgate.records import Approval, now
from lockgate.storage.approval_rows import COLUMNS as _C
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.audit import Book
from lockgate.storage.ids import SHOWN_CANDIDATES, fits, require_one
from lockgate.storage.reader import Opened

NOTE_CHARACTERS = 4_000
EDIT_CHARACTERS = 5_000_000

type Decided = Literal["approved", "denied", "edited"]
_ACTS: Mapping[Decided, str] = {"approved": "approve", "denied": "deny", "edited": "edit"}


class ApprovalDesk(Opened):
    """Reads and decides. An id is the whole one."""

    def __init__(self, url: str, book: Book | None = None) -> None:
        """Decisions are noted in the book, if there is one."""
        super().__init__(url)
        self._book, self._rows = book, ApprovalRows(self._address)

    async def close(self) -> None:
        await self._rows.close()

    async def waiting(self) -> list[str]:
        """The ids of what waits, the oldest first."""
        return await self._rows.ids(and_(_C.state == "pending", _C.deadline > now()))

    async def pending(self, *, limit: int = 1_000) -> list[Approval]:
        """What waits, the oldest first."""
        query = select(*_C).where(_C.state == "pending", _C.deadline > now()).order_by(_C.id).limit(limit)
        return await self._all(query)

    async def decided(self, *, limit: int = 50, before: str | None = None) -> list[Approval]:
        """What waits no more, the newest first; older than the one whose id is `before`."""
        over = or_(_C.state != "pending", _C.deadline <= now())
        older = _C.id < before if before is not None else _C.id.is_not(None)
        return await self._all(select(*_C).where(over, older).order_by(_C.id.desc()).limit(limit))

    async def find(self, id: str) -> Approval | None:
        """The one with this id, or whose id alone begins or ends so; those that wait go first. Raises Error."""
        meant = fits(_C.id, id, of="an approval")
        waiting = and_(meant, _C.state == "pending", _C.deadline > now())
        for condition in (waiting, meant):
            found = await self._all(select(*_C).where(condition).order_by(_C.id).limit(SHOWN_CANDIDATES))
            require_one(id, [one.id for one in found], of="approvals")
            if found:
                return found[0]
        return None

    async def decide(
        self,
        id: str,
        decision: Decided,
        *,
        digest: str,
        by: str,
        note: str = "",
        note_shown: bool = False,
        arguments: str | None = None,
    ) -> Approval:
        """Decide about the call that was shown, which `digest` names; `arguments` go on instead, where it is edited.

        Raises Error where it is decided already, where its deadline has passed, where it is another call now, and for
        arguments that no call could have.
        """
        _check(decision, by, note, arguments)
        moment = now()
        values = {"state": decision, "decided_by": by, "decided_at": moment, "note": note, "note_shown": note_shown}
        changed = await self._rows.change(
            and_(_C.id == id, _C.state == "pending", _C.digest == digest, _C.deadline > moment),
            values | {"edited": arguments},
            self._noting(id, decision, {"state": decision, "digest_of_call": digest, "by": by, "note": note}),
        )
        found = await self._all(select(*_C).where(_C.id == id))
        if not changed:
            why = _why_not(id, found[0] if found else None, digest)
            if failed := self._noting(id, decision, None, why):
                await self._rows.noted(failed)
            raise Error(why)
        return found[0]

    def _noting(
        self, id: str, decision: Decided, after: dict[str, Any] | None, why: str = ""
    ) -> Callable[[Connection], None] | None:
        """What notes the decision, or why there is none. Arguments are not noted: the approval has them."""
        if (book := self._book) is None:
            return None
        act, outcome = f"approval.{_ACTS[decision]}", "error" if why else "success"
        return lambda at: book.note(at, act, f"approval {id}", outcome=outcome, after=after, reason=why)

    async def _all(self, query: Select[*tuple[Any, ...]]) -> list[Approval]:
        return [_seen(one) for one in await self._rows.read(query)]


def _seen(approval: Approval) -> Approval:
    """As it is at this moment: nobody can decide about it any more once its deadline has passed."""
    is_late = approval.state == "pending" and approval.deadline <= now()
    return replace(approval, state="expired") if is_late else approval


def _check(decision: Decided, by: str, note: str, arguments: str | None) -> None:
    if not by.strip():
        raise Error("a decision has a name: say who decides")
    if len(note) > NOTE_CHARACTERS:
        raise Error(f"a note has at most {NOTE_CHARACTERS:,} characters")
    if (decision == "edited") != (arguments is not None):
        raise Error("arguments are given for an edit, and for nothing else")
    if len(arguments or "") > EDIT_CHARACTERS:
        raise Error(f"edited arguments have at most {EDIT_CHARACTERS:,} characters")


def _why_not(id: str, found: Approval | None, digest: str) -> str:
    if found is None:
        return f"no approval has the id {id!r}: `lockgate approve list` shows those that wait"
    state = found.state
    if state == "expired":
        return f"nobody decided about {id} until its deadline, {found.deadline.isoformat()}: it waits no more"
    if state == "withdrawn":
        return f"the client of {id} left and did not come back: it waits no more"
    if state != "pending":
        at = found.decided_at.isoformat() if found.decided_at else "an unknown time"
        return f"{id} was {state} by {found.decided_by} at {at}: it is decided once"
    if found.digest != digest:
        return f"the call of {id} is not the one that was shown: look at it again, and decide about what it is now"
    return f"{id} could not be decided: try again"
