"""What was said at the places that the search index knows, read back from where it stands.

A request's text stands in its message, a reply's in the body of its comm. What does not give the digest that was
indexed was changed by others, and is not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Select, bindparam, func, select, text

from lockgate.errors import WireError
from lockgate.records import Comm
from lockgate.storage.bodies import Ask, joined
from lockgate.storage.columns import gaps
from lockgate.storage.content_models import MessageModel
from lockgate.storage.index import digest_of, parts_of
from lockgate.storage.models import CommModel, SaidModel
from lockgate.storage.said import Said, endpoint_of, said_in, spoken
from lockgate.storage.words import words

type Row = Mapping[str, Any]

IDS_PER_QUERY = 500

_COMM = CommModel.__table__.columns
_MESSAGE = MessageModel.__table__.columns
_SAID = SaidModel.__table__.columns
PLACE = (_SAID.number, _SAID.exchange_id, _SAID.comm_id, _SAID.message, _SAID.part, _SAID.digest)
"""Where a text stands: a row for `texts_at`."""
_INDEX = text("INSERT INTO said_fts (rowid, text) VALUES (:number, :text)")
_WORDS = text("UPDATE said SET words = :text WHERE number = :number")
_UNINDEX = text("INSERT INTO said_fts (said_fts, rowid, text) VALUES ('delete', :number, :text)")


async def texts_at(ask: Ask, places: Sequence[Row]) -> list[Said | None]:
    """What each place says; None for what others changed. Places are rows of `said`."""
    comms = await _by(ask, select(*_COMM), _COMM.id, [place["comm_id"] for place in places])
    hashes = [place["message"] for place in places if place["message"] is not None]
    messages = await _by(ask, select(_MESSAGE.hash, _MESSAGE.content), _MESSAGE.hash, hashes)
    known: dict[tuple[str, bytes | None], Mapping[int, Said]] = {}
    for place in places:
        key = (place["comm_id"], place["message"])
        if key not in known:
            known[key] = await _parts(ask, comms.get(key[0]), messages.get(key[1]), whole=key[1] is None)
    found = [known[place["comm_id"], place["message"]].get(place["part"]) for place in places]
    return [said if said and digest_of(said) == place["digest"] else None
            for said, place in zip(found, places, strict=True)]  # fmt: skip


def unindex(connection: Connection, exchange_ids: Collection[str]) -> None:
    """Take all that these exchanges said out of SQLite's index. To be called before they are deleted.

    PostgreSQL's index follows its rows. SQLite's has to be told the words; rows that went without this are never found,
    and leave their words behind in it.
    """
    if connection.dialect.name != "sqlite":
        return
    of_these = select(*PLACE).where(_SAID.exchange_id.in_(bindparam("ids", expanding=True)))
    ids = sorted(set(exchange_ids))
    for start in range(0, len(ids), IDS_PER_QUERY):
        rows = connection.execute(of_these, {"ids": ids[start : start + IDS_PER_QUERY]}).mappings()
        if gone := _numbered(connection, [dict(row) for row in rows]):
            connection.execute(_UNINDEX, gone)


def last_place(connection: Connection) -> int:
    """The number of the place that was made last; 0 where there is none."""
    return connection.scalar(select(func.coalesce(func.max(_SAID.number), 0))) or 0


def reindex(connection: Connection, after: int) -> None:
    """Make the index of places that came without one, after this number."""
    sqlite = connection.dialect.name == "sqlite"
    lacking = select(*PLACE).where(_SAID.words.is_(None)).order_by(_SAID.number).limit(IDS_PER_QUERY)
    while rows := [dict(row) for row in connection.execute(lacking.where(_SAID.number > after)).mappings()]:
        after = rows[-1]["number"]
        if found := _numbered(connection, rows):
            connection.execute(_INDEX if sqlite else _WORDS, found)


def _numbered(connection: Connection, places: Sequence[Row]) -> list[dict[str, Any]]:
    """The text of each place as the index has it, with the place's number."""
    told = zip(places, _at_once(texts_at(_asking(connection), places)), strict=True)
    form = gaps if connection.dialect.name == "sqlite" else words
    return [{"number": place["number"], "text": form(said.text)} for place, said in told if said]


async def _parts(ask: Ask, comm: Row | None, message: Row | None, *, whole: bool) -> Mapping[int, Said]:
    endpoint = endpoint_of(comm["endpoint"]) if comm else None
    try:
        if comm is None or endpoint is None:
            return {}
        if whole:
            content = (await joined(ask, comm))[0] if comm["digest"] is not None else comm["content"]
            texts = spoken(_comm(comm, content)).texts
        else:
            texts = said_in(endpoint.format, message["hash"], message["content"]) if message else ()
        return {number: Said(role=one.role, text=piece, message=one.message) for number, one, piece in parts_of(texts)}
    except WireError:
        return {}


def _comm(row: Row, content: bytes | None) -> Comm:
    """As much of it as its texts are read from."""
    names = ("id", "exchange_id", "type", "source", "destination", "endpoint", "created_at")
    return Comm(content=content, **{name: row[name] for name in names})


async def _by(ask: Ask, query: Select[*tuple[Any, ...]], key: Any, wanted: Collection[Any]) -> dict[Any, Row]:
    values, found = sorted(set(wanted)), dict[Any, Row]()
    for start in range(0, len(values), IDS_PER_QUERY):
        rows = await ask(query.where(key.in_(values[start : start + IDS_PER_QUERY])))
        found |= {row[key.name]: row for row in rows}
    return found


def _asking(connection: Connection) -> Ask:
    async def ask(query: Select[*tuple[Any, ...]]) -> Sequence[Row]:
        return [dict(row) for row in connection.execute(query).mappings()]

    return ask


def _at_once[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return cast(T, ended.value)
    raise AssertionError("it waited")
