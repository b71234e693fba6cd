"""Which session a request belongs to, by its history first and by its agent's marker second. Nothing here does I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from lockgate.history.asked import ROOT, Asked, final
from lockgate.history.attest import Finding, released_at, same
from lockgate.history.memory import Memory, Session, Spot
from lockgate.records import Purpose, SessionRelation, SessionRow, new_id
from lockgate.wire import prompts

TITLE_CHARACTERS = 80
SUMMARY_LINES = 3
"""So many lines of a reply, or half of them, make a text the summary that the reply was."""
READ_LINES = 500
"""So many lines of what a user says are looked at."""


def settle(asked: Asked, finding: Finding, purpose: Purpose, memory: Memory) -> tuple[Session | None, Spot | None]:
    """The session, and the spot that it was found by; a session is opened where there is none.

    What is no conversation of its own opens none: where its session is not known there is none.
    """
    words = asked.words(finding.turns)
    spot = _chosen(finding.spots.values(), asked, words)
    if purpose:
        return (spot.session if spot else memory.marked(asked.marks.session)), spot
    if spot is None:
        return (_begun(asked, memory) if not asked.turns else _unproven(asked, finding, memory)), None
    session, marker = spot.session, asked.marks.session
    if finding.is_tail:
        return _open(asked, memory, session, "compacted_from", finding.node), spot
    renamed = marker and session.row.marker not in ("", marker) and memory.marked(marker) is None
    if renamed or not _fits(spot, asked, words):
        return _open(asked, memory, session, "forked_from", finding.node), spot
    return session, spot


def _chosen(spots: Iterable[Spot], asked: Asked, words: Sequence[bytes]) -> Spot | None:
    candidates = list(spots)
    if not any(spot.row or spot.attested in ("attested", "compacted") for spot in candidates):
        # what never passed here, such as the examples in a prompt, may be anybody's
        candidates = [spot for spot in candidates if _is_own(spot, asked, words)]
    return max(candidates, key=lambda spot: _likeness(spot, asked, words), default=None)


def _likeness(spot: Spot, asked: Asked, words: Sequence[bytes]) -> tuple[Any, ...]:
    row = spot.session.row
    return (
        bool(row.marker) and row.marker == asked.marks.session,
        row.opening == asked.opening_digest,
        (row.project, row.token) == (asked.project, asked.token),
        (row.agent, row.client) == (asked.agent, asked.client),
        _fits(spot, asked, words),
        not (spot.next or spot.claims),
        spot.row is not None,
        row.id,
    )


def _is_own(spot: Spot, asked: Asked, words: Sequence[bytes]) -> bool:
    named = bool(asked.marks.session) and spot.session.row.marker == asked.marks.session
    return named or (same(spot.session, asked) and _fits(spot, asked, words))


def _fits(spot: Spot, asked: Asked, words: Sequence[bytes]) -> bool:
    """Whether the session has not gone on from here with other words."""
    said = final(words)
    others = (claim for id, claim in spot.claims.items() if id != asked.exchange_id)
    return (not spot.next or said in spot.next) and all(claim == said for claim in others)


def _unproven(asked: Asked, finding: Finding, memory: Memory) -> Session:
    """The session of turns that were never released so: whose turns were altered, or whose marker it is."""
    for row in released_at(asked, memory, finding.node, finding.turns):
        if (session := memory.sessions.use(row.session_id)) is not None:
            return session
    marked = memory.marked(asked.marks.session)
    return marked if marked and same(marked, asked) else _open(asked, memory)


def _begun(asked: Asked, memory: Memory) -> Session:
    """The session of a request without any turn."""
    marker = asked.marks.session
    for session in memory.begun_with(final(asked.last_words)):
        again = session.answered is False and not session.under_way
        if same(session, asked) and (again or (marker and session.row.marker == marker)):
            return session
    if (summarised := _summarised(asked, memory)) is not None:
        session, node = summarised
        return _open(asked, memory, session, "compacted_from", node)
    if (sender := _sender(asked, memory)) is not None:
        return _open(asked, memory, sender, "subagent_of")
    marked = memory.marked(marker)
    if marked is None or marked.row.agent != asked.agent:
        return _open(asked, memory)
    return _open(asked, memory, marked, "forked_from") if marked.answered else marked


def _summarised(asked: Asked, memory: Memory) -> tuple[Session, bytes] | None:
    """The session and the turn whose reply the user's words repeat."""
    if not memory.lines:
        return None
    texts = list(prompts.texts_in(asked.messages))
    lines = islice((line for text in reversed(texts) for line in prompts.lines_of(text)), READ_LINES)
    hits = Counter(row.node for line in lines if (row := memory.lines.get(line)))
    for node, count in hits.most_common(4):
        total = memory.line_counts.get(node, 0)
        if count >= SUMMARY_LINES or count * 2 >= total:
            for spot in memory.at(node).values():
                if same(spot.session, asked):
                    return spot.session, node
    return None


def _sender(asked: Asked, memory: Memory) -> Session | None:
    """The session whose agent sent this one: it says so, or gave it its first words."""
    if asked.marks.parent and (parent := memory.marked(asked.marks.parent)) is not None:
        return parent
    session = memory.sessions.use(memory.arguments.get(asked.opening_digest, ""))
    return session if session is not None and session.party == asked.party else None


def _open(
    asked: Asked,
    memory: Memory,
    parent: Session | None = None,
    relation: SessionRelation = "",
    node: bytes = b"",
) -> Session:
    marker = asked.marks.session
    title = asked.opening
    if parent and (relation == "compacted_from" or asked.opening_digest == parent.row.opening):
        title = parent.row.title
    if relation == "subagent_of":  # it may have been told what its sender was asked
        title = asked.task
    row = SessionRow(
        id=memory.reserved.pop(marker, "") or new_id(),
        started_at=asked.started_at,
        parent_id=parent.id if parent else "",
        relation=relation,
        node=node,
        agent=asked.agent,
        marker=marker,
        project=asked.project,
        token=asked.token,
        client=asked.client,
        title=" ".join(title.split())[:TITLE_CHARACTERS],
        opening=asked.opening_digest,
    )
    session = memory.know(Session(row=row))
    if not asked.turns and asked.base == ROOT:
        memory.begin(session, final(asked.last_words))
    return session
