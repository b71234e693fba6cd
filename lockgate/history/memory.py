"""What this proxy remembers of what it released: bounded, the least used goes first. Nothing here does I/O.

The log has all of it: what is forgotten here is found there. Only the marks that a summary or a sub-agent is known by,
and replies whose text may come back rewritten, are not in the log; they matter for a short time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lockgate.history.asked import ROOT
from lockgate.records import Attested, SessionRow, TurnRow
from lockgate.wire.turns import Turn, digest

NODES = 50_000
"""About 1.2 KB each with all that leads to them, 60 MB in all: 160 sessions of 300 turns. Others are in the log."""
SESSIONS = 10_000
SPOTS_PER_NODE = 64
"""Sessions on one node: "Hello! How can I help?" has many."""
SAME_PLACE = 8
SAME_MEANING = 16
SAME_BEGINNING = 16
"""Of sessions with the same first words, so many of the newest may be tried again."""
LINES = 50_000
ARGUMENTS = 20_000
KEPT_TURNS = 2_000
KEPT_BYTES = 32 * 2**20


class Recent[K, V](dict[K, V]):
    """The last so many, by when they were last set or asked for with `use`."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._limit:
            del self[next(iter(self))]

    def use(self, key: K) -> V | None:
        if key not in self:
            return None
        value = self[key]
        self[key] = value
        return value


@dataclass(slots=True, kw_only=True)
class Session:
    """A session while it is remembered."""

    row: SessionRow
    answered: bool = False
    """Whether a whole reply was released in it."""
    told: bool = False
    """Whether the log has been told of it."""
    under_way: set[str] = field(default_factory=set[str])
    """Its exchanges that have not ended."""
    party: tuple[str, ...] = field(init=False)
    """Who sends it, as in `Asked`."""

    def __post_init__(self) -> None:
        row = self.row
        self.party = (row.agent, row.project, row.token, row.client)

    @property
    def id(self) -> str:
        return self.row.id


@dataclass(slots=True, kw_only=True)
class Spot:
    """A session that stands on a node: it was given the turn, or it began there."""

    session: Session
    attested: Attested
    row: TurnRow | None = None
    """The turn, where it was released to this session."""
    next: tuple[bytes, ...] = ()
    """The words that it went on with."""
    claims: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """The words of exchanges that are under way."""


class Memory:
    """What was released, by node, by meaning, by place and by name."""

    def __init__(self, nodes: int = NODES) -> None:
        self.spots = Recent[bytes, dict[str, Spot]](nodes)
        self.meanings = Recent[bytes, tuple[TurnRow, ...]](nodes)
        self._places = Recent[bytes, tuple[TurnRow, ...]](nodes)
        self.names = Recent[str, TurnRow](nodes)
        self.sessions = Recent[str, Session](SESSIONS)
        self.markers = Recent[str, str](SESSIONS)
        self.reserved = Recent[str, str](SESSIONS)
        """The ids that sessions will have which side calls came before, by marker."""
        self.roots = Recent[bytes, tuple[str, ...]](SESSIONS)
        """Sessions by the words that they began with."""
        self.lines = Recent[bytes, TurnRow](LINES)
        """Replies by their longer lines, which a summary is known by."""
        self.line_counts = Recent[bytes, int](LINES)
        self.arguments = Recent[bytes, str](ARGUMENTS)
        """Sessions by the texts in calls, which a sub-agent's task is known by."""
        self._vetoes = Recent[bytes, tuple[str, ...]](ARGUMENTS)
        self._kept = dict[bytes, Turn]()
        self._kept_bytes = 0

    # Nodes

    def add(self, row: TurnRow, session: Session) -> Spot:
        """A turn was released to a session. Doing it again changes nothing."""
        spots = self.spots.use(row.node) or {}
        spot = spots.get(session.id)
        if spot is None or spot.row is None:
            spot = self._put(row.node, Spot(session=session, attested=row.attested, row=row))
            self._index(row)
            self._go_on(row, session)
        return spot

    def stand(self, node: bytes, session: Session, attested: Attested) -> Spot:
        """A session begins on a node."""
        spots = self.spots.use(node) or {}
        return spots.get(session.id) or self._put(node, Spot(session=session, attested=attested))

    def _put(self, node: bytes, spot: Spot) -> Spot:
        spots = self.spots.get(node)
        if spots is None:
            self.spots[node] = spots = {}
        elif (before := spots.pop(spot.session.id, None)) is not None:
            spot.next, spot.claims = before.next, before.claims
        spots[spot.session.id] = spot
        if len(spots) > SPOTS_PER_NODE:
            del spots[next(iter(spots))]
        return spot

    def _index(self, row: TurnRow) -> None:
        place = _place(row.parent, row.words)
        self.meanings[row.meaning] = (*self.meanings.get(row.meaning, ()), row)[-SAME_MEANING:]
        self._places[place] = (*self._places.get(place, ()), row)[-SAME_PLACE:]
        if row.reply_id:
            self.names[row.reply_id] = row

    def _go_on(self, row: TurnRow, session: Session) -> None:
        """The session went on from the turn before, and how."""
        if row.complete and not row.purpose:
            session.answered = True
            if row.parent != ROOT:
                spot = self.stand(row.parent, session, row.attested)
                spot.next = (*(words for words in spot.next if words != row.words), row.words)[-SAME_PLACE:]
        if row.complete and row.veto:
            place = _place(row.parent, row.words)
            self._vetoes[place] = (*self._vetoes.get(place, ()), session.id)[-SAME_PLACE:]

    def vetoed(self, node: bytes, words: bytes) -> tuple[str, ...]:
        """The sessions in which a reply to these words, after this node, was changed by a rule."""
        return self._vetoes.use(_place(node, words)) or ()

    def at(self, node: bytes) -> Mapping[str, Spot]:
        return self.spots.use(node) or {}

    def at_place(self, parent: bytes, words: bytes) -> tuple[TurnRow, ...]:
        """What was released after this node and these words, the newest last."""
        return self._places.use(_place(parent, words)) or ()

    # Sessions

    def know(self, session: Session) -> Session:
        """Remember a session, and that its marker means it now."""
        if (known := self.sessions.use(session.id)) is not None:
            return known
        self.sessions[session.id] = session
        if marker := session.row.marker:
            newest = self.sessions.get(self.markers.get(marker, ""))
            if newest is None or newest.id < session.id:
                self.markers[marker] = session.id
        return session

    def marked(self, marker: str) -> Session | None:
        """The newest session with this marker."""
        return self.sessions.use(self.markers.get(marker, "")) if marker else None

    def begun_with(self, words: bytes) -> Iterable[Session]:
        """Sessions that began with these words, the newest first."""
        ids = self.roots.use(words) or ()
        return [session for id in reversed(ids) if (session := self.sessions.get(id)) is not None]

    def begin(self, session: Session, words: bytes) -> None:
        self.roots[words] = (*self.roots.get(words, ()), session.id)[-SAME_BEGINNING:]

    # Replies that may come back rewritten

    def keep(self, node: bytes, turn: Turn, size: int) -> None:
        """Keep what a turn says for a while; a huge one not."""
        if size > KEPT_BYTES // 16:
            return
        while self._kept and (self._kept_bytes + size > KEPT_BYTES or len(self._kept) >= KEPT_TURNS):
            self._drop(next(iter(self._kept)))
        if node not in self._kept:
            self._kept[node] = turn
            self._kept_bytes += size

    def kept(self, node: bytes) -> Turn | None:
        return self._kept.get(node)

    def _drop(self, node: bytes) -> None:
        self._kept_bytes -= size_of(self._kept.pop(node))


def size_of(turn: Turn) -> int:
    """About how many bytes a turn's content takes."""
    return 200 + len(turn.text) + sum(200 + len(str(call.arguments)) for call in turn.calls)


def _place(parent: bytes, words: bytes) -> bytes:
    return digest(parent, words)
