"""How long the console's pages take before a log that has been in use, and what they weigh.

A proxy with a console is asked as a browser asks it: each page, its files, and what its scripts fetch by themselves.
First content is the first byte of an answer's body. What is fetched after a page, or by a person in it, is a part: it
counts into the weight of the page that fetches it by itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from gzip import decompress
from http.client import HTTPConnection
from statistics import median
from typing import Any
from urllib.parse import quote

from lockgate.access.audit import entry_of
from lockgate.access.keyring import Keyring
from lockgate.bench import opening, reading
from lockgate.bench.month import AGENTS, PROJECTS, month
from lockgate.bench.usage import BenchError
from lockgate.records import now
from lockgate.storage.access import Access
from lockgate.storage.address import parse
from lockgate.storage.answers import Filter
from lockgate.storage.backup import opened
from lockgate.storage.queries import Queries
from lockgate.storage.usage_days import fold
from lockgate.storage.writer import Writer

AUDITED = 100
"""For so many exchanges there is an entry in the audit trail."""
PLACES_AFTER = 1_000_000
"""Texts that the log itself writes have numbers below."""
LATER = re.compile(rb'hx-get="([^"]+)" hx-trigger="load"')
FILES = re.compile(rb'(?:src|href)="(/static/[^"]+)"')
NOTHING_FITS = (
    "model=none", "agent=none", "project=none", "session=none", "tool=none", "rule=none", "label=none", "status=418",
    "outcome=refused", "attested=foreign", "purpose=compaction", "kind=other", "provider=none", "min_cost=1000",
    "min_tokens=999999999", "since=30d&until=29d", "q=nowhere", f"agent={AGENTS[0]}&model=none", "tool=Bash&status=418",
    f"project={PROJECTS[0]}&outcome=refused", "action=held", "trigger=judge",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An address."""

    path: str
    fetched: Sequence[str] = ()
    """What its scripts fetch at once."""
    is_part: bool = False
    """Whether it comes into a page that is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one address took. Bytes are those of answers as they were sent, of a page with its files and parts."""

    page: Page
    first_ms: float
    most_ms: float
    bytes: int
    unpacked: int
    """Of the content by itself, before compression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came."""

    content: bytes
    sent: int
    seconds: float


class Browser:
    """One connection to a console, as someone."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"authorization": f"Bearer {key}", "accept": "text/html", "accept-encoding": "gzip"}

    def get(self, path: str) -> Answer:
        """Raises BenchError for what is no answer."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        content = answer.read(1)
        seconds = time.perf_counter() - began
        content += answer.read()
        if answer.status != 200:
            raise BenchError(f"the console answered {path} with {answer.status}: {content[:200]!r}")
        packed = answer.headers.get("content-encoding") == "gzip"
        return Answer(content=decompress(content) if packed else content, sent=len(content), seconds=seconds)

    def close(self) -> None:
        self._connection.close()


def fill(url: str, count: int, turns: int) -> float:
    """Into an empty database: so many exchanges, and a session of so many turns. Gives the seconds that it took."""
    began = time.perf_counter()
    opening.make(url, turns)
    _access(url, count // AUDITED)
    reading.make(url, count, month(count, PLACES_AFTER))
    with opened(parse(url)) as engine:  # as a proxy does in its first minute
        while fold(engine):
            pass
    return time.perf_counter() - began


def _access(url: str, audited: int) -> None:
    """Projects with tokens, and a trail."""
    with Access(url, Keyring([bytes(32)])) as access, Writer(parse(url)) as writer:
        for project in (*PROJECTS, *(f"old-{number}" for number in range(40))):
            access.create_project(project)
            for name in ("nightly", "laptop", "ci"):
                access.create_token(project, lifetime=timedelta(days=30), name=name)
        for _ in range(audited // 500 + 1):
            entries = [
                entry_of(who="ada", where="10.0.0.4", act="token.create", subject="token", outcome="success")
                for _ in range(500)
            ]
            writer.write(entries)


async def pages(url: str) -> list[Page]:
    """What is asked: every page, and every part that grows with the log."""
    async with Queries(url) as log:
        newest = (await log.exchanges(limit=1, where=Filter(session_id=opening.SESSION)))[0]
        usual = (await log.exchanges(limit=50, where=Filter(project=PROJECTS[0])))[-1]
        whole = await log.exchange(newest.id, bodies=False)
    assert whole
    return [*_pages(newest.id, usual.id, usual.session_id), *_parts(newest.id, whole.comms[0].id)]


def _pages(newest: str, usual: str, session: str) -> Iterator[Page]:
    yield Page(path="/", fetched=("/api/exchanges?limit=200", "/api/activity/series?step=minute&by="))
    usage = "/api/usage?by=day&since="
    for path in (
        "/approvals", "/sessions", f"/sessions/{session}", f"/sessions/{opening.SESSION}",
        f"/sessions/{opening.SESSION}?newest=true", "/sessions?agent=none", "/sessions?project=none",
        "/sessions?since=24h", "/exchanges", f"/exchanges/{usual}", f"/exchanges/{newest}",
        f"/exchanges?before={usual}", "/exchanges?q=needle", "/exchanges?q=often", "/exchanges?q=%22often+needle%22",
        "/exchanges?since=1h",
        f"/exchanges?model=claude-opus-4-5&agent={AGENTS[2]}&outcome=error", f"/exchanges?session={opening.SESSION}",
        *(f"/exchanges?{query}" for query in NOTHING_FITS), "/policies", "/policies/known", "/stops", "/system",
        "/access", "/access/tokens", "/access/keys", "/access/budgets", "/access/audit", "/access/administrators",
    ):  # fmt: skip
        yield Page(path=path)
    yield Page(path="/access/usage?days=30", fetched=(usage + _days_ago(30),))


def _parts(newest: str, comm: str) -> Iterator[Page]:
    paths = [f"/sessions/{opening.SESSION}/turns?after={newest}", f"/sessions/{opening.SESSION}/turns?before={newest}"]
    paths += [f"/exchanges/{newest}/{part}" for part in (f"raw/{comm}", "changes", "curl", "texts/asked/0")]
    paths += [f"/api/exchanges/{newest}", "/api/exchanges?limit=200", "/policies/counts"]
    paths += [f"/api/activity/series?step={step}&by={by}" for step in ("minute", "hour", "day") for by in ("", "model")]
    kinds = ("project", "token", "model", "agent", "day", "session")
    paths += [f"/access/usage/table?by={by}&days=30" for by in kinds]
    paths += [f"/access/usage/table?by=day&days=30&project={PROJECTS[0]}", "/access/usage/table?by=project&days=7"]
    paths += [f"/api/usage?by=day&since={_days_ago(30)}", "/api/sessions?limit=200", "/api/system"]
    yield from (Page(path=path, is_part=True) for path in paths)


def _days_ago(days: int) -> str:
    return quote((now() - timedelta(days=days)).isoformat())


def ask(port: int, key: str, wanted: Sequence[Page], runs: int) -> list[Took]:
    """Each some times, after one that warms up."""
    browser = Browser(port, key)
    known: dict[str, int] = {}
    try:
        return [_asked(browser, page, runs, known) for page in wanted]
    finally:
        browser.close()


def _asked(browser: Browser, page: Page, runs: int, files: dict[str, int]) -> Took:
    first = browser.get(page.path)
    times = [browser.get(page.path).seconds * 1e3 for _ in range(runs)]
    weight = first.sent
    if not page.is_part:
        for file in {found.decode() for found in FILES.findall(first.content)}:
            if file not in files:
                files[file] = browser.get(file).sent
            weight += files[file]
        later = [found.decode().replace("&amp;", "&") for found in LATER.findall(first.content)]
        weight += sum(browser.get(path).sent for path in (*page.fetched, *later))
    return Took(page=page, first_ms=median(times), most_ms=max(times), bytes=weight, unpacked=len(first.content))


def document(took: Sequence[Took]) -> dict[str, dict[str, Any]]:
    """For the notes."""
    return {
        one.page.path: {
            "median_ms": round(one.first_ms, 1), "most_ms": round(one.most_ms, 1),
            "kilobytes": round(one.bytes / 1e3, 1), "unpacked_kilobytes": round(one.unpacked / 1e3, 1),
        }
        for one in took
    }  # fmt: skip
