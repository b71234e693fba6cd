"""What every request's history is next to what was released, and which session it belongs to.

One `History` serves a proxy. All of it is computed in memory, on the event loop; only a chain that this proxy does not
know is looked for in the log, through the port `Archive`, and for no longer than a request may wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from lockgate.errors import WireError, told
from lockgate.history.asked import ROOT, Asked, final, node_after, purpose_of
from lockgate.history.attest import Finding, judge, lost_veto
from lockgate.history.memory import Memory, Recent, Session, size_of
from lockgate.history.sessions import settle
from lockgate.records import Attested, Purpose, Record, SessionRow, TurnRow, new_id
from lockgate.wire import prompts
from lockgate.wire.document import loads_object
from lockgate.wire.turns import Turn, digest, encoded, replied

log = logging.getLogger(__name__)

ARCHIVE_SECONDS = 1.0
"""How long a request waits for what the log remembers."""
ABSENT_SECONDS = 5.0
"""How long what the log does not have is not looked for again."""
ABSENT = 10_000
KEPT_LINES = 64
"""Of a reply, the last: a summary comes after what it was drawn from."""
TASK_CHARACTERS = 16
"""What is shorter is no task for a sub-agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Turns in the order in which they were released, and the sessions that they belong to."""

    turns: Sequence[TurnRow] = ()
    sessions: Sequence[SessionRow] = ()


class Archive(Protocol):
    """What was released before this proxy began, or by another one. Raises lockgate.errors.Error."""

    async def find(
        self,
        *,
        nodes: Sequence[bytes] = (),
        parents: Sequence[bytes] = (),
        meanings: Sequence[bytes] = (),
        names: Sequence[str] = (),
        places: Sequence[tuple[bytes, bytes]] = (),
    ) -> Remembered:
        """The turns with any of these nodes, parents, meanings, names of replies, or parent and words together."""
        ...


@dataclass(slots=True, kw_only=True)
class Standing:
    """What is known of one request's history."""

    asked: Asked
    session: Session | None
    session_id: str
    attested: Attested
    purpose: Purpose
    continues: str = ""
    """The comm of the reply that it goes on from."""
    records: list[Record] = field(default_factory=list[Record])
    """What the log has to be told."""


class History:
    """Remembers what was released, and compares. A request is given to `stand`, its reply to `release`."""

    def __init__(self, archive: Archive | None = None, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self._archive = archive
        self._absent = Recent[bytes, float](ABSENT)

    async def stand(self, asked: Asked) -> Standing:
        """Compare a request's history, and find its session. Waits only for what the log may know."""
        known = await self._base(asked)
        finding = judge(asked, self.memory)
        if not _is_settled(asked, finding) and self._archive is not None:
            known = await self._recall(asked) and known
            finding = judge(asked, self.memory)
        return self._standing(asked, finding, certain=known)

    def _standing(self, asked: Asked, finding: Finding, *, certain: bool) -> Standing:
        purpose, memory = purpose_of(asked), self.memory
        session, spot = settle(asked, finding, purpose, memory)
        spot_at_all = spot or next(iter(finding.spots.values()), None)
        attested = finding.attested or (spot_at_all.attested if spot_at_all else "attested")
        if attested == "attested" and not asked.turns and session and session.row.relation == "compacted_from":
            attested = "compacted"
        if asked.base != ROOT and not finding.spots:
            attested = "unknown" if asked.kept else "foreign"
        if attested in ("foreign", "altered") and asked.refers:
            attested = "unknown"
        if not certain and not (finding.spots and finding.turns == len(asked.turns)):
            attested = "unknown"
        if attested in ("attested", "compacted") and lost_veto(asked, memory, finding.node):
            attested = "altered"
        standing = Standing(
            asked=asked,
            session=session,
            session_id=session.id if session else self._reserved(asked.marks.session),
            attested=attested,
            purpose=purpose,
            continues=spot.row.comm_id if spot and spot.row and finding.turns == len(asked.turns) else "",
        )
        self._begin(standing, finding)
        return standing

    def _begin(self, standing: Standing, finding: Finding) -> None:
        session, asked = standing.session, standing.asked
        if session is None:
            return
        if not session.told:
            session.told = True
            standing.records.append(session.row)
        standing.records += finding.records
        session.under_way.add(asked.exchange_id)
        if asked.node != ROOT and not standing.purpose and standing.attested != "unknown":
            spot = self.memory.stand(asked.node, session, standing.attested)
            spot.claims[asked.exchange_id] = final(asked.last_words)

    def _reserved(self, marker: str) -> str:
        """The id of a session that a side call came before."""
        if not marker:
            return ""
        if (id := self.memory.reserved.use(marker)) is None:
            id = self.memory.reserved[marker] = new_id()
        return id

    def ended(self, standing: Standing) -> None:
        """The exchange is over, however it ended."""
        if (session := standing.session) is not None:
            id = standing.asked.exchange_id
            session.under_way.discard(id)
            if (spot := self.memory.spots.get(standing.asked.node, {}).get(session.id)) is not None:
                spot.claims.pop(id, None)

    # Replies

    def release(
        self, standing: Standing, reply: bytes, *, comm_id: str, complete: bool, veto: bool
    ) -> Sequence[TurnRow]:
        """The reply, as the client gets it, is what the next request is compared with. Gives what the log is told."""
        session, asked = standing.session, standing.asked
        if session is None or (standing.purpose == "side" and not asked.turns):
            return ()
        try:
            document = loads_object(reply)
        except WireError:
            return ()
        rows: list[TurnRow] = []
        for turns in replied(asked.format, document):
            rows += self._released(standing, session, turns, comm_id, complete=complete, veto=veto)
        if rows and asked.format == "openai-responses":
            rows[-1] = _named(rows[-1], document.get("id"))
        for row in rows:
            self.memory.add(row, session)
        if rows and asked.kept:
            self.memory.names[asked.kept] = rows[-1]
        return rows

    def _released(
        self, standing: Standing, session: Session, turns: Sequence[Turn], comm_id: str, *, complete: bool, veto: bool
    ) -> Iterator[TurnRow]:
        asked = standing.asked
        parent, words = asked.node, final(asked.last_words)
        for at, said in enumerate(turns):
            turn = said
            if at == 0 and asked.is_open:  # the reply goes on with what the client began
                count = len(asked.turns)
                parent = asked.nodes[count - 2] if count > 1 else asked.base
                turn, words = asked.turns[-1].followed_by(said), final(asked.words(count - 1))
            row = TurnRow(
                exchange_id=asked.exchange_id,
                session_id=session.id,
                node=node_after(parent, turn.meaning),
                parent=parent,
                meaning=turn.meaning,
                words=words,
                comm_id=comm_id,
                attested=standing.attested,
                complete=complete,
                veto=veto,
                purpose=standing.purpose,
            )
            self._keep(row, turn, session)
            yield row
            parent, words = row.node, prompts.NOTHING

    def _keep(self, row: TurnRow, turn: Turn, session: Session) -> None:
        memory = self.memory
        memory.keep(row.node, turn, size_of(turn))
        for call in turn.calls:
            given: Any = call.arguments
            arguments: dict[str, Any] = given if isinstance(given, dict) else {}  # pyright: ignore[reportUnknownVariableType]
            for value in arguments.values():
                if isinstance(value, str) and len(value) >= TASK_CHARACTERS:
                    memory.arguments[prompts.text_digest(value)] = session.id
        if not turn.calls and (lines := prompts.lines_of(turn.text)[-KEPT_LINES:]):
            memory.line_counts[row.node] = len(lines)
            for line in lines:
                memory.lines[line] = row

    # What the log remembers

    async def _base(self, asked: Asked) -> bool:
        """Let the chain begin at the reply that the request follows. Tells whether it is certain what that is."""
        name = asked.follows
        if not name:
            return True
        certain = True
        if (row := self.memory.names.use(name)) is None and self._archive is not None:
            certain = await self._load(names=[name])
            row = self.memory.names.get(name)
        asked.base = row.node if row else digest(b"reply", encoded(name))
        return certain

    async def _recall(self, asked: Asked) -> bool:
        """Load what the log has of the chain. Tells whether it could be asked."""
        node, now = asked.node, time.monotonic()
        key = digest(node, encoded(asked.marks.session))
        if self._absent.get(key, 0.0) > now:
            return True
        if not await self._load(nodes=[node], parents=[node]):
            return False
        self._absent[key] = now + ABSENT_SECONDS
        if node in self.memory.spots:
            return True
        meanings = list({turn.meaning for turn in asked.turns})
        first = (asked.base, final(asked.words(0)))  # all conversations begin at one node
        return await self._load(nodes=asked.nodes, parents=asked.nodes, meanings=meanings, places=[first])

    async def _load(self, **wanted: Any) -> bool:
        assert self._archive
        try:
            async with asyncio.timeout(ARCHIVE_SECONDS):
                remembered = await self._archive.find(**wanted)
        except Exception as error:
            log.warning("what was released cannot be looked up: %s", told(error))
            return False
        self._remember(remembered)
        return True

    def _remember(self, remembered: Remembered) -> None:
        sessions = {row.id: self.memory.know(Session(row=row, told=True)) for row in remembered.sessions}
        for row in remembered.turns:
            if (session := sessions.get(row.session_id)) is not None:
                self.memory.add(row, session)


def _is_settled(asked: Asked, finding: Finding) -> bool:
    """Whether nothing that the log remembers could say more."""
    if asked.node == ROOT:
        return True
    marker, spots = asked.marks.session, finding.spots.values()
    own = not marker or any(spot.session.row.marker == marker for spot in spots)
    return finding.turns == len(asked.turns) and bool(spots) and own


def _named(row: TurnRow, name: Any) -> TurnRow:
    return replace(row, reply_id=name) if isinstance(name, str) else row
