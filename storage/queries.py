"""What the log remembers, read: typed, asynchronous, paged by key. Answers are the records of `lockgate.records`.

Lists read only the light rows of `exchange`; bodies are read for one exchange at a time. Nothing here writes.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select
from sqlalchemy import text as sql_text
from sqlalchemy.exc import DBAPIError

from lockgate.errors import StorageError, WireError
from lockgate.events import Usage
from lockgate.frames.told import Frames, read
from lockgate.records import Action, Comm, Decision, ExchangeRow, Relation
from lockgate.storage import answers, headings, sessions
from lockgate.storage.answers import (
    NO_MARKS,
    USAGE_FIELDS,
    Cost,
    CostBy,
    ExchangeDetail,
    Filter,
    Hit,
    Marks,
    Note,
    Point,
    RuleCount,
    SeriesBy,
    Session,
    Step,
    Summary,
    Told,
)
from lockgate.storage.bodies import joined
from lockgate.storage.content_models import BlobModel, HeadingModel
from lockgate.storage.following import Following, exchange_of
from lockgate.storage.hits import PLACES_IN_MEMORY
from lockgate.storage.ids import SHOWN_CANDIDATES, digits_of, fits, require_one
from lockgate.storage.listing import Page, among_all, counts, few, is_mixed, leads, narrowest, span, walk
from lockgate.storage.models import CommModel, DecisionModel, ExchangeModel, FramesModel, RelationModel
from lockgate.storage.people_models import LabelModel, NoteModel
from lockgate.storage.places import texts_at
from lockgate.storage.proxies import Proxy, proxies
from lockgate.storage.reader import Reader
from lockgate.storage.said import Said
from lockgate.storage.schema import cannot_open
from lockgate.storage.searching import FEW_EXCHANGES, cost_key, costing, searching
from lockgate.storage.selecting import first_since, hidden
from lockgate.storage.series import over_time, series_keys
from lockgate.storage.threads import WHOLE
from lockgate.storage.turns import Turn, turns_of
from lockgate.storage.usage_days import Key, kept_days
from lockgate.storage.words import Term, excerpt, terms
from lockgate.wire.conversation import Part

type Row = dict[str, Any]

FIRST = "0" * 32
"""Sorts before every id."""
IDS_PER_QUERY = 500
"""Databases bound the parameters of one statement."""

_EXCHANGE = ExchangeModel.__table__.columns
_COMM = CommModel.__table__.columns
_BODY = ("content", "envelope", "form")
_RELATION = RelationModel.__table__.columns
_DECISION = DecisionModel.__table__.columns
_DID = tuple(action for action in get_args(Action.__value__) if action != "forwarded")


class Queries(Reader):
    """Reads one database's log."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._sqlite = self._address.kind == "sqlite"

    async def exchanges(
        self, *, limit: int = 50, before: str | None = None, after: str | None = None, where: Filter | None = None
    ) -> list[ExchangeRow]:
        """The newest first, at most `limit`, older than the exchange whose whole id is `before`.

        With `after`, the oldest first, newer than the exchange with this whole id; `FIRST` begins with the first.
        """
        bounds = [None if id is None else digits_of(id, of="an exchange") for id in (before, after)]
        page = Page(limit=limit, before=bounds[0], after=bounds[1], sqlite=self._sqlite)
        return [exchange_of(row) for row in await self._listed(where or Filter(), page)]

    async def _listed(self, where: Filter, page: Page) -> list[Row]:
        """A walk first, and where that finds too few, one step after the other that takes more."""
        rows = await self._rows(walk(where, page))
        if len(rows) == page.limit or not is_mixed(where):
            return rows
        if (ends := span(where, page)) is not None:
            inside = page.within((await self._rows(ends))[0])
            if inside is None:
                return []
            page, rows = inside, await self._rows(walk(where, inside))
            if len(rows) == page.limit:
                return rows
        counting = counts(where, page)
        lead = None if counting is None else narrowest((await self._rows(counting))[0])
        return await self._rows(few(lead, where, page) if lead else among_all(where, page))

    async def search(self, text: str, *, limit: int = 20, where: Filter | None = None) -> list[Hit]:
        """The texts that hold every word of `text`, the best fit first, each with its exchange and its place.

        Quotes keep words together, `begin*` finds all words that begin so. Replies are found, and what was new in
        requests. The newest `hits.RANKED_HITS` are ranked. Raises Error where `text` has no word in it.
        """
        search = terms(text)
        where = replace(where or Filter(), kind=None)  # only conversations say anything
        among = await self._few(where) if self._sqlite else None
        query = searching(search, where, limit=limit, sqlite=self._sqlite, among=among)
        rows = await self._rows(query, first="" if self._sqlite else PLACES_IN_MEMORY)
        said = await texts_at(self._rows, rows)
        return [_hit(row, one, search) for row, one in zip(rows, said, strict=True)]

    async def _few(self, where: Filter) -> list[str] | None:
        """The ids of the exchanges that fit, if they are few and found by an index."""
        if not leads(where):
            return None
        rows = await self._listed(where, Page(limit=FEW_EXCHANGES + 1, sqlite=True))
        return [row["id"] for row in rows] if len(rows) <= FEW_EXCHANGES else None

    async def costs(self, by: CostBy, *, where: Filter | None = None, limit: int | None = None) -> list[Cost]:
        """Tokens and cost by session, model … the dearest first, or by day, the oldest first."""
        where = where or Filter()
        days = await self._kept_days([cost_key(by, sqlite=self._sqlite)], where)
        rows = await self._rows(costing(by, where, days, sqlite=self._sqlite, limit=limit))
        return [_cost(row) for row in rows]

    async def series(self, step: Step, *, by: SeriesBy = "", where: Filter | None = None) -> list[Point]:
        """What happened in each step of time, the oldest first; steps in which nothing did are left out."""
        where = where or Filter()
        days = await self._kept_days(series_keys(step, by, sqlite=self._sqlite), where)
        rows = await self._rows(over_time(step, by, where, days, sqlite=self._sqlite))
        return [_point(row) for row in rows]

    async def _kept_days(self, keys: Sequence[Key], where: Filter) -> list[str]:
        query = kept_days(keys, where)
        return [] if query is None else [row["day"] for row in await self._rows(query)]

    async def sessions(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        agent: str | None = None,
        project: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Session]:
        """Those that began by themselves, the newest first, each followed by those that came of it, the oldest first.

        `limit` counts the former; `before` is the whole id of the last of them on the page before.
        """
        chosen = sessions.roots(
            limit=limit, before=before, agent=agent, project=project, since=since, until=until
        )  # fmt: skip
        return await sessions.with_descendants(self._rows, await self._rows(chosen))

    async def session(self, name: str) -> list[Session]:
        """The newest session with this id, end of an id, or marker, followed by those that came of it; [] for none."""
        return await sessions.with_descendants(self._rows, await self._rows(sessions.called(name)))

    async def conversation(self, session_id: str, *, limit: int = 100, after: str = FIRST) -> list[Told]:
        """The exchanges of a session with what was new in each, the oldest first, newer than the one with this id."""
        where = Filter(kind="model", session_id=session_id, purpose="")
        rows = await self.exchanges(limit=limit, after=after, where=where)
        texts: dict[str, list[tuple[str, str]]] = {row.id: [] for row in rows}
        for some in _some(texts):
            places = await self._rows(sessions.places(some))
            for place, said in zip(places, await texts_at(self._rows, places), strict=True):
                if said:
                    texts[place["exchange_id"]].append((said.role, said.text))
        return [Told(exchange=row, texts=tuple(texts[row.id])) for row in rows]

    async def turns(self, rows: Sequence[ExchangeRow]) -> list[Turn]:
        """What was new in each of these exchanges, block by block, and what rules did."""
        return await turns_of(self._rows, rows)

    async def others(self, following: Following) -> list[tuple[ExchangeRow, str]] | None:
        """What other processes wrote: see `Following.look`."""
        return await following.look(self._rows)

    async def file(self, hash: bytes) -> bytes | None:
        """The bytes of a file that messages hold, by their SHA-256."""
        found = await self._rows(select(BlobModel.content).where(BlobModel.hash == hash))
        return found[0]["content"] if found else None

    async def frames(self, exchange_id: str) -> Frames | None:
        """What was kept of the reply's frames, by the exchange's whole id; None where nothing was."""
        query = select(FramesModel.content).where(FramesModel.exchange_id == exchange_id)
        try:
            found = await self._rows(query)
            return read(found[0]["content"]) if found else None
        except (zlib.error, WireError, LookupError, TypeError, ValueError) as error:
            raise StorageError(
                "the frames in the log were changed by others: `lockgate log verify` says more"
            ) from error

    async def marks(self, rows: Collection[ExchangeRow]) -> dict[str, Marks]:
        """Labels and notes of these exchanges and their sessions, by the exchange's id; only where there are any."""
        ids, sessions = [row.id for row in rows], [row.session_id for row in rows if row.session_id]
        labels, notes = [
            [
                *await self._about(model, model.exchange_id, ids),
                *await self._about(model, model.session_id, sessions),
            ]
            for model in (LabelModel, NoteModel)
        ]
        marks = {row.id: _marks(row, labels, notes) for row in rows} if labels or notes else {}
        return {id: one for id, one in marks.items() if one != NO_MARKS}

    async def _about(self, model: type[LabelModel | NoteModel], column: Any, keys: Collection[str]) -> list[Row]:
        query = select(*model.__table__.columns).order_by(model.id)
        return [row for some in _some(keys) for row in await self._rows(query.where(column.in_(some)))]

    async def find(self, id: str) -> ExchangeRow | None:
        """The light row of the exchange that `exchange` would find."""
        whole = await self._whole_id(id)
        rows = await self._rows(select(*_EXCHANGE).where(_EXCHANGE.id == whole)) if whole else []
        return exchange_of(rows[0]) if rows else None

    async def rows(self, ids: Collection[str]) -> list[ExchangeRow]:
        """The light rows of the exchanges with these whole ids, the oldest first."""
        chosen = select(*_EXCHANGE).order_by(_EXCHANGE.id)
        return [
            exchange_of(row) for some in _some(ids) for row in await self._rows(chosen.where(_EXCHANGE.id.in_(some)))
        ]

    async def exchange(self, id: str, *, bodies: bool = True) -> ExchangeDetail | None:
        """The exchange with this id, or with the only id that begins or ends so; None when there is none.

        Bodies of long conversations take a while to put together: without them, no comm has a `content`.

        At least 6 hexadecimal digits, dashes or not. The end is what tells exchanges apart: ids made close in time
        begin alike. Raises Error for what is no id, and for several candidates, which it names.
        """
        whole = await self._whole_id(id)
        if whole is None:
            return None
        ids = select(_COMM.id).where(_COMM.exchange_id == whole)
        leaving, coming = _RELATION.from_comm_id.in_(ids), _RELATION.to_comm_id.in_(ids)
        ends = select(_RELATION.to_comm_id).where(leaving).union(select(_RELATION.from_comm_id).where(coming))
        others = select(_COMM.exchange_id).where(_COMM.id.in_(ends), _COMM.exchange_id != whole)
        (exchange,) = await self._rows(select(*_EXCHANGE).where(_EXCHANGE.id == whole))
        columns = [column for column in _COMM if bodies or column.name not in _BODY]
        comms = select(*columns, HeadingModel.content.label("names")).outerjoin(HeadingModel)
        comms = comms.where(_COMM.exchange_id == whole).order_by(_COMM.created_at, _COMM.id)
        # Each end by its own index: of both in one condition PostgreSQL makes a look at every relation there is.
        either = select(_RELATION.id).where(leaving).union(select(_RELATION.id).where(coming))
        relations = select(*_RELATION).where(_RELATION.id.in_(either)).order_by(_RELATION.id)
        decisions = select(*_DECISION).where(_DECISION.exchange_id == whole)
        decisions = decisions.order_by(_DECISION.created_at, _DECISION.id)
        related = select(*_EXCHANGE).where(_EXCHANGE.id.in_(others)).order_by(_EXCHANGE.id)
        comm_rows = await self._rows(comms)
        parted = [row for row in comm_rows if bodies and row["digest"] is not None]
        known: dict[bytes, Part] = {}
        joint = {row["id"]: await joined(self._rows, row, known) for row in parted}
        return ExchangeDetail(
            exchange=exchange_of(exchange),
            comms=tuple(_comm(row, joint.get(row["id"], (row.get("content"), None))[0]) for row in comm_rows),
            relations=tuple(_relation(row) for row in await self._rows(relations)),
            decisions=tuple(Decision(**row) for row in await self._rows(decisions)),
            related=tuple(exchange_of(row) for row in await self._rows(related)),
            joined={id: how for id, (_, how) in joint.items()},
        )

    async def summary(self, *, since: datetime | None = None, ids: Collection[str] | None = None) -> Summary:
        """The exchanges that began at `since` or later, or those with these whole ids, or all, in numbers."""
        first = None if since is None or ids is not None or not self._sqlite else first_since(since)
        return answers.add([await self._summary(condition, first) for condition in _selections(since, ids)])

    async def _summary(self, condition: ColumnElement[bool], first: ScalarSelect[Any] | None) -> Summary:
        kind = _EXCHANGE.kind if first is None else hidden(_EXCHANGE.kind).label("kind")
        group = (kind, (_EXCHANGE.trigger != "").label("own"), _EXCHANGE.outcome)
        tokens = [func.sum(_EXCHANGE[name]).label(name) for name in USAGE_FIELDS]
        counted = select(*group, func.count().label("count"), *tokens).where(condition).group_by(*group)
        rows = await self._rows(counted)
        mine = [row for row in rows if row["kind"] == "model" and not row["own"]]
        return Summary(
            exchanges=sum(row["count"] for row in mine),
            side_calls=sum(row["count"] for row in rows if row["kind"] == "other" and not row["own"]),
            own_calls=sum(row["count"] for row in rows if row["own"]),
            outcomes=tuple((row["outcome"], row["count"]) for row in mine),
            usage=Usage(**{name: sum(int(row[name] or 0) for row in rows) for name in USAGE_FIELDS}),
            decisions=await self._rule_counts(condition, first),
        )

    async def _rule_counts(
        self, condition: ColumnElement[bool], first: ScalarSelect[Any] | None
    ) -> tuple[RuleCount, ...]:
        """With the first of the exchanges, SQLite looks at what decisions did before it looks whose they are."""
        group = (_DECISION.rule, _DECISION.mode, _DECISION.action)
        chosen = [_DECISION.exchange_id.in_(select(_EXCHANGE.id).where(condition))]
        if first is not None:
            whose = select(_EXCHANGE.id).where(_EXCHANGE.id == _DECISION.exchange_id, condition)
            chosen = [_DECISION.action.in_(_DID), _DECISION.exchange_id >= first, whose.exists()]
        counted = select(*group, func.count().label("count")).where(*chosen, _DECISION.action != "forwarded")
        return tuple(RuleCount(**row) for row in await self._rows(counted.group_by(*group)))

    async def _whole_id(self, id: str) -> str | None:
        query = select(_EXCHANGE.id).where(fits(_EXCHANGE.id, id, of="an exchange")).order_by(_EXCHANGE.id)
        found: list[str] = [row["id"] for row in await self._rows(query.limit(SHOWN_CANDIDATES))]
        require_one(id, found, of="exchanges")
        return found[0] if found else None

    async def proxies(self) -> list[Proxy]:
        """Those that serve at this database, were lost, or ended within a day."""
        try:
            async with self._engine.connect() as connection:
                return await connection.run_sync(proxies)
        except DBAPIError as error:
            raise cannot_open(self._address, error) from error

    async def _rows(self, query: Select[*tuple[Any, ...]], *, first: str = "") -> list[Row]:
        try:
            async with self._engine.connect() as connection:
                if first:
                    await connection.execute(sql_text(first))
                result = await connection.execute(query)
                names = [*result.keys()]
                return [dict(zip(names, row, strict=True)) for row in result]
        except DBAPIError as error:
            raise cannot_open(self._address, error) from error


def _selections(since: datetime | None, ids: Collection[str] | None) -> Iterator[ColumnElement[bool]]:
    if ids is None:
        yield _EXCHANGE.started_at >= since if since is not None else _EXCHANGE.id.is_not(None)
        return
    for some in _some(ids):
        yield _EXCHANGE.id.in_(some)


def _some(ids: Collection[str]) -> Iterator[list[str]]:
    whole = sorted(set(ids))
    for start in range(0, len(whole), IDS_PER_QUERY):
        yield whole[start : start + IDS_PER_QUERY]


def _hit(row: Row, said: Said | None, search: tuple[Term, ...]) -> Hit:
    comm_id, score = str(row.pop("comm_id")), float(row.pop("score"))
    for name in ("message", "part", "digest"):
        del row[name]
    role, text = (said.role, said.text) if said else ("", "")
    return Hit(exchange=exchange_of(row), comm_id=comm_id, role=role, excerpt=excerpt(text, search), score=score)


def _cost(row: Row) -> Cost:
    usage = Usage(**{name: int(row.pop(name)) for name in USAGE_FIELDS})
    key = row.pop("key")
    return Cost(key=key, usage=usage, **{name: int(value) for name, value in row.items()})


def _point(row: Row) -> Point:
    begin = str(row.pop("at"))
    at = datetime.fromisoformat(begin if len(begin) != len("2026-11-21 20") else f"{begin}:00").replace(tzinfo=UTC)
    numbers = {name: int(row[name]) for name in ("exchanges", "tokens", "nano_usd", "blocked")}
    means = [row[name] if row[name] is None else round(row[name], 1) for name in ("first_byte_ms", "duration_ms")]
    return Point(at=at, key=row["key"], **numbers, first_byte_ms=means[0], duration_ms=means[1])


def _marks(row: ExchangeRow, labels: Sequence[Row], notes: Sequence[Row]) -> Marks:
    """Of all that was found, what is about this exchange and its session."""
    ours = [one for one in labels if one["session_id"] == row.session_id and row.session_id]
    return Marks(
        labels=tuple(sorted(one["name"] for one in labels if one["exchange_id"] == row.id)),
        session_labels=tuple(sorted(one["name"] for one in ours)),
        notes=tuple(
            Note(
                id=one["id"],
                text=one["text"],
                created_at=one["created_at"],
                about="exchange" if one["exchange_id"] else "session",
            )
            for one in notes
            if one["exchange_id"] == row.id or (row.session_id and one["session_id"] == row.session_id)
        ),
    )


def _comm(row: Row, content: bytes | None) -> Comm:
    values: Row = {name: value for name, value in row.items() if name not in (*WHOLE, "heading", "names")}
    values |= {"headers": headings.whole(row["names"], row["headers"]), "content": content}
    return Comm(**values)


def _relation(row: Row) -> Relation:
    type, detail = row.pop("relationship_type"), row.pop("metadata")
    return Relation(**row, type=type, detail=detail)
