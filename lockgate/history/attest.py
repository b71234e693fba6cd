"""A request's turns next to those that were released. Nothing here does I/O.

A node names a turn together with all those before it, so one look at the last node tells about all of them. Only where
it is not known does it matter where the chain breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lockgate.history.asked import ROOT, Asked, final, node_after
from lockgate.history.echo import is_echo
from lockgate.history.memory import Memory, Session, Spot, size_of
from lockgate.records import Attested, TurnRow, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How far the turns are known. `attested` is "" where the spot tells."""

    attested: Attested
    node: bytes
    """The last that is known, in the chain that was released."""
    turns: int
    """How many turns of the request lead there."""
    spots: Mapping[str, Spot] = field(default_factory=dict[str, Spot])
    """The sessions that stand there."""
    is_tail: bool = False
    """Whether the beginning of that chain is missing."""
    records: tuple[TurnRow, ...] = ()
    """Turns that came back as their client writes them."""


def same(session: Session | None, asked: Asked) -> bool:
    """Whether the session may be the sender's: by its marker, else by who it is."""
    if session is None:
        return False
    marker = session.row.marker
    if marker and asked.marks.session:
        return marker == asked.marks.session
    return session.party == asked.party


def judge(asked: Asked, memory: Memory) -> Finding:
    """What is known of the request's turns."""
    known, records = _known(asked, memory)
    count = len(asked.turns)
    node = asked.nodes[known - 1] if known else asked.base
    spots: Mapping[str, Spot] = memory.at(node) if node != ROOT else {}
    if known == count:
        return Finding(attested="" if spots else "attested", node=node, turns=count, spots=spots, records=records)
    if asked.base == ROOT and (tail := _tail(asked, memory)):
        end, length = tail
        if length == count:
            return Finding(
                attested="compacted", node=end, turns=count, spots=memory.at(end), is_tail=True, records=records
            )
        if length > known:
            state = _broken(asked, memory, end, length)
            return Finding(attested=state, node=end, turns=length, spots=memory.at(end), is_tail=True, records=records)
    state = _broken(asked, memory, node, known)
    return Finding(attested=state, node=node, turns=known, spots=spots, records=records)


def released_at(asked: Asked, memory: Memory, node: bytes, turns: int) -> list[TurnRow]:
    """What was released where the request has its next turn, the newest first."""
    rows = reversed(memory.at_place(node, final(asked.words(turns))))
    return [row for row in rows if node != ROOT or same(memory.sessions.get(row.session_id), asked)]


def _known(asked: Asked, memory: Memory) -> tuple[int, tuple[TurnRow, ...]]:
    """How many turns from the first on are known, and which of them only now: rewritten by their client."""
    nodes, count = asked.nodes, len(asked.turns)
    known = next((at for at in range(count, 0, -1) if nodes[at - 1] in memory.spots), 0)
    records: list[TurnRow] = []
    while known < count and (row := _rewritten(asked, memory, known)):
        session = memory.sessions.get(row.session_id)
        if session is None:
            break
        memory.add(row, session)
        memory.keep(row.node, asked.turns[known], size_of(asked.turns[known]))
        records.append(row)
        known += 1
        while known < count and nodes[known] in memory.spots:
            known += 1
    return known, tuple(records)


def _rewritten(asked: Asked, memory: Memory, known: int) -> TurnRow | None:
    node = asked.nodes[known - 1] if known else asked.base
    given = asked.turns[known]
    for row in released_at(asked, memory, node, known):
        released = memory.kept(row.node)
        if released and is_echo(released, given, asked.document, cut=not row.complete):
            return replace(row, id=new_id(), node=asked.nodes[known], parent=node, meaning=given.meaning)
    return None


def _tail(asked: Asked, memory: Memory) -> tuple[bytes, int] | None:
    """Where the turns end in a chain whose beginning is missing, and how many of them are in it."""
    best: tuple[bytes, int] | None = None
    for row in memory.meanings.get(asked.turns[0].meaning, ()):
        node, length = row.node, 1
        while length < len(asked.turns):
            following = node_after(node, asked.turns[length].meaning)
            if following not in memory.spots:
                break
            node, length = following, length + 1
        if best is None or length >= best[1]:
            best = node, length
    return best


def _broken(asked: Asked, memory: Memory, node: bytes, turns: int) -> Attested:
    """What the first turn that is not known is."""
    if released_at(asked, memory, node, turns):
        return "altered"
    return "altered" if all(turn.meaning in memory.meanings for turn in asked.turns[turns:]) else "foreign"


def lost_veto(asked: Asked, memory: Memory, node: bytes) -> bool:
    """Whether a turn that a rule had changed was taken out from between the last words."""
    return any(
        same(memory.sessions.get(id), asked) for words in asked.last_words[:-1] for id in memory.vetoed(node, words)
    )
