"""The pages of exchanges: the list with its filters and the search, one exchange whole, and what they load of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from lockgate.admin.acts import ActRoute
from lockgate.admin.choosing import WhichPage
from lockgate.admin.console.differences import side_by_side
from lockgate.admin.console.pages import page
from lockgate.admin.console.reading import alone
from lockgate.admin.console.timing import rules_of
from lockgate.admin.exchanges import detail_of
from lockgate.admin.identity import AtDesk, Caller, ForViewers
from lockgate.admin.problems import Problem
from lockgate.errors import Error, StorageError
from lockgate.records import Action, Attested, Outcome, Purpose
from lockgate.storage.answers import ExchangeDetail, Joined
from lockgate.storage.curl import curl
from lockgate.storage.queries import Queries
from lockgate.storage.shapes import changes, document
from lockgate.wire.blocks import indented

router = APIRouter(route_class=ActRoute, include_in_schema=False)

HITS = 50
RAW_CHARACTERS = 200_000
CURL_CHARACTERS = 1_000_000
CHOICES: Mapping[str, Sequence[str]] = {
    "outcome": get_args(Outcome.__value__),
    "action": get_args(Action.__value__),
    "attested": [each for each in get_args(Attested.__value__) if each],
    "purpose": [each for each in get_args(Purpose.__value__) if each],
    "kind": ("model", "other"),
}
SINCE = (("1h", "the last hour"), ("24h", "the last day"), ("7d", "the last week"), ("30d", "the last month"))
FIRST_ROW = {"q", "outcome", "since", "model", "agent", "limit", "before"}
"""Filters that are always seen."""
SUGGESTED = ("model", "agent", "project", "provider")
"""Fields in which what the page shows may be chosen."""
PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
"""By how they begin. What a message says of its files is not believed."""


class WhichList(WhichPage):
    """What the page shows."""

    q: str = ""
    """Words that were said; without any, all exchanges, the newest first."""


@router.get("/exchanges", name="exchanges.page")
async def exchanges(
    request: Request, caller: ForViewers, desk: AtDesk, which: Annotated[WhichList, Query()]
) -> HTMLResponse:
    found: dict[str, Any] = {"rows": (), "hits": (), "marks": {}, "problem": "", "older": ""}
    try:
        if which.q:
            words, where = which.q[:1000], which.filter()
            found["hits"] = await desk.large.do(lambda log: log.search(words, limit=HITS, where=where))
        else:
            rows = await desk.log.exchanges(limit=which.limit, before=which.before, where=which.filter())
            older = _address(which, before=rows[-1].id) if len(rows) == which.limit else ""
            found |= {"rows": rows, "marks": await desk.log.marks(rows), "older": older}
    except StorageError:
        raise
    except Error as error:  # no time, no sum, no word
        found["problem"] = str(error)
    return page(
        request, "exchanges.html", caller=caller, title="Exchanges", which=which, chips=list(_chips(which)),
        more=which.model_dump(exclude_defaults=True, exclude=FIRST_ROW), choices=CHOICES, since=SINCE,
        newest=_address(which, before=None) if which.before else "",
        known={name: sorted({getattr(row, name) for row in found["rows"]} - {""}) for name in SUGGESTED}, **found,
    )  # fmt: skip


@router.get("/exchanges/{id}", name="exchange.page")
async def exchange(request: Request, caller: ForViewers, desk: AtDesk, id: str) -> HTMLResponse:
    async def shown(log: Queries) -> HTMLResponse:
        detail, marks = await detail_of(log, id, bodies=False)
        (turn,) = await log.turns([detail.exchange])
        parts: dict[str, Any] = {"told": alone(turn), "rules": rules_of(detail), "graph": graph_of(detail)}
        return page(
            request, "exchange.html", caller=caller, title=f"Exchange {detail.exchange.id[-8:]}",
            detail=detail, row=detail.exchange, marks=marks, is_changed=any(True for _ in changes(detail)), **parts,
        )  # fmt: skip

    return await desk.large.do(shown)


@router.get("/exchanges/{id}/changes", name="exchange.changes")
async def changed(request: Request, caller: ForViewers, desk: AtDesk, id: str) -> HTMLResponse:
    """Original and final, side by side."""

    async def shown(log: Queries) -> HTMLResponse:
        detail, _ = await detail_of(log, id, bodies=False)
        if any(True for _ in changes(detail)):
            detail, _ = await detail_of(log, id)
        found = {name: side_by_side(one.content, other.content) for name, one, other in changes(detail)}
        return page(request, "changes.html", caller=caller, changed=found)

    return await desk.large.do(shown)


@router.get("/exchanges/{id}/raw/{comm_id}", name="exchange.raw")
async def raw(request: Request, caller: ForViewers, desk: AtDesk, id: str, comm_id: str) -> HTMLResponse:
    """One body as it is in the log."""

    async def shown(log: Queries) -> HTMLResponse:
        detail, _ = await detail_of(log, id)
        content = next((comm.content for comm in detail.comms if comm.id == comm_id), None)
        value = document(content)
        text = value if isinstance(value, str) else "" if value is None else indented(value)
        return rest(request, caller, id, text, detail.joined.get(comm_id))

    return await desk.large.do(shown)


@router.get("/exchanges/{id}/curl", name="exchange.curl")
async def command(request: Request, caller: ForViewers, desk: AtDesk, id: str) -> HTMLResponse:
    """The request as a command, to be copied."""

    async def shown(log: Queries) -> HTMLResponse:
        detail, _ = await detail_of(log, id)
        is_large = any(len(comm.content or b"") > CURL_CHARACTERS for comm in detail.chain("REQUEST")[:1])
        text = "" if is_large else curl(detail)
        return page(request, "curl.html", caller=caller, text=text if len(text) <= CURL_CHARACTERS else "", id=id)

    return await desk.large.do(shown)


@router.get("/exchanges/{id}/texts/{side}/{number}", name="exchange.text")
async def text(
    request: Request, caller: ForViewers, desk: AtDesk, id: str, side: Literal["asked", "answered"], number: int
) -> HTMLResponse:
    """The whole of a text that a conversation shows the beginning of."""

    async def shown(log: Queries) -> HTMLResponse:
        row = await log.find(id)
        turns = await log.turns([row]) if row else []
        blocks = (turns[0].asked if side == "asked" else turns[0].answered) if turns else ()
        if not 0 <= number < len(blocks):
            raise Problem(404)
        return rest(request, caller, id, blocks[number].text)

    return await desk.large.do(shown)


def rest(request: Request, caller: Caller, id: str, text: str, how: Joined | None = None) -> HTMLResponse:
    """A text of which a page shows the beginning, as far as a browser bears it."""
    shown = text[:RAW_CHARACTERS]
    return page(request, "rest.html", caller=caller, text=shown, count=len(text), id=id, how=how)


@router.get("/files/{hash}", name="file")
async def file(caller: ForViewers, desk: AtDesk, hash: str) -> Response:
    """A picture out of a message. Other files are for programs: nothing here shows them."""
    try:
        content = await desk.log.file(bytes.fromhex(hash))
    except ValueError as error:
        raise Problem(404) from error
    type = _type_of(content or b"")
    if not content or not type:
        raise Problem(404)
    headers = {
        "content-security-policy": "default-src 'none'; sandbox", "x-content-type-options": "nosniff",
        "cache-control": "private, max-age=86400, immutable",
    }  # fmt: skip
    return Response(content, headers=headers, media_type=type)


def graph_of(detail: ExchangeDetail) -> list[tuple[int, str, Any]]:
    """Each communication once: how deep it stands, what joins it to the one above it, and the communication itself."""
    known = {comm.id: comm for comm in detail.comms}
    below: dict[str, list[tuple[str, str]]] = {}
    for one in detail.relations:
        if one.from_comm_id in known and one.to_comm_id in known:
            below.setdefault(one.from_comm_id, []).append((one.type, one.to_comm_id))
    ends = {to for each in below.values() for _, to in each}
    waiting = [(0, "", id) for id in reversed([*(id for id in known if id not in ends), *ends])]
    found: list[tuple[int, str, Any]] = []
    while waiting:
        depth, type, id = waiting.pop()
        if id in known:
            found.append((depth, type, known.pop(id)))
            waiting += [(depth + 1, *each) for each in reversed(below.get(id, ()))]
    return found


def _chips(which: WhichList) -> Iterator[tuple[str, str, str]]:
    """What is looked for: its name, its value, and the address of the page without it."""
    for name, value in which.model_dump(exclude_defaults=True, exclude={"limit", "before"}).items():
        yield name.replace("_", " ").replace("q", "words", name == "q"), str(value), _address(which, **{name: None})


def _address(which: WhichList, **changes: str | None) -> str:
    values = which.model_dump(exclude_defaults=True) | {"before": None} | changes
    query = urlencode({name: value for name, value in values.items() if value is not None}, errors="replace")
    return f"/exchanges?{query}" if query else "/exchanges"


def _type_of(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((type for start, type in PICTURES.items() if content.startswith(start)), "")
