"""The pages of exchanges and sessions: what they say, how much they load, and that nothing written by others runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from lockgate.admin.console.differences import side_by_side
from lockgate.admin.console.reading import Piece
from lockgate.admin.console.rendering import markdown
from lockgate.admin.console.sessions import TURNS
from lockgate.records import Comm, ExchangeRow, new_id
from lockgate.storage.queries import Queries
from lockgate.wire.blocks import Block
from tests.admin.conversations import PNG, conversation, dumps, image
from tests.admin.desks import Office
from tests.admin.pages import suspicious
from tests.admin.payloads import ALL, PAYLOADS, WITHOUT_HALVES
from tests.storage.logs import remember
from tests.storage.records import comm, decision, exchange_row, whole_exchange

HTML = {"accept": "text/html"}
FILE = f"/files/{'0' * 64}"
BARE = WITHOUT_HALVES.replace("\x00", "")
"""PostgreSQL keeps no NUL in a text, and the log writes none there."""


async def page_at(office: Office, path: str, *, role: Any = "operator") -> str:
    async with office.client(office.hire(f"x{new_id()[-6:]}", role), **HTML) as client:
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert suspicious(answer.text) == []
        return answer.text


async def test_nothing_yet(here: Office):
    assert "lockgate run -- claude" in await page_at(here, "/exchanges")
    assert "lockgate run -- claude" in await page_at(here, "/sessions")
    assert "No exchange fits" in await page_at(here, "/exchanges?model=nosuch")
    assert "beginning of one with a star" in await page_at(here, "/exchanges?q=nosuch")
    assert "No session fits" in await page_at(here, "/sessions?agent=nosuch")


async def test_what_is_no_filter_is_said_beside_the_form(here: Office):
    for query, sentence in (("since=yesterday", "is no time"), ("min_cost=much", "is no sum"), ("before=x", "give 32")):
        assert sentence in await page_at(here, f"/exchanges?{query}")
    assert "is no time" in await page_at(here, "/sessions?since=yesterday")


async def test_wrong_ids_are_pages_with_a_sentence(here: Office):
    await remember(here.url, conversation(1))
    async with here.client(here.hire("vera", "viewer"), **HTML) as client:
        no = f"/exchanges/{new_id()}"
        sessions = ("/sessions/nosuch", "/sessions/nosuch/turns")
        for path in (no, f"{no}/texts/asked/0", f"{no}/curl", "/exchanges/odd!", *sessions, "/files/x", FILE):
            answer = await client.get(path)
            assert answer.status_code in (404, 422), path
            assert "Back to what happens now" in answer.text


async def test_pages_are_for_administrators(here: Office):
    async with here.client(**HTML) as client:
        for path in ("/exchanges", "/sessions", f"/exchanges/{new_id()}", "/sessions/x/turns", FILE):
            assert (await client.get(path)).status_code == 303
    records = conversation(1)
    await remember(here.url, records)
    shown = await page_at(here, f"/sessions/{records[0].id}", role="viewer")  # pyright: ignore[reportAttributeAccessIssue]
    assert "New label" not in shown


async def test_pages_go_on_from_one_to_the_next(here: Office):
    await remember(here.url, [exchange_row(model=f"m-{at}", agent="a&b") for at in range(5)])
    shown = await page_at(here, "/exchanges?limit=2&agent=a%26b")
    assert shown.rindex("m-4") < shown.rindex("m-3")
    assert "m-2" not in shown
    older = shown.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert "agent=a%26b" in older
    assert "m-2" in await page_at(here, older)


async def test_a_hit_is_marked(here: Office):
    await remember(here.url, conversation(3, text="<b>needle</b>"))
    shown = await page_at(here, "/exchanges?q=needle")
    assert "<mark>needle</mark>" in shown
    assert "<b>" not in shown


async def test_nothing_that_others_wrote_runs_in_any_page(anywhere: Office):
    fields = dict.fromkeys(("model", "agent", "endpoint", "error", "stop_reason"), BARE)
    session: Any = {"title": BARE, "agent": BARE, "marker": BARE, "project": BARE}
    records = conversation(5, text=ALL, **session)
    records += [
        replace(record, headers=((BARE, BARE),), source=BARE, destination=BARE) if isinstance(record, Comm) else record
        for record in whole_exchange(**fields, rules=(BARE,))
    ]
    rows: Any = [record for record in records if hasattr(record, "started_at")]
    odd = rows[-1]
    body = json.dumps({"x": ALL, ALL: [ALL]}).encode("utf-8", "surrogatepass")
    sent, out = (comm(odd.id, endpoint=odd.endpoint, content=content) for content in (b"{not json " + body, body))
    records += [sent, out, decision(odd.id, rule=BARE, reason=BARE, subject=BARE, given=body, out=body)]
    await remember(anywhere.url, records)
    async with anywhere.client(anywhere.hire("olga", "operator")) as client:
        note = await client.post(f"/api/exchanges/{odd.id}/notes", json={"text": BARE})
        assert note.status_code == 201
    whole = [
        await page_at(anywhere, path)
        for path in ("/exchanges", "/sessions", "/exchanges?q=alert", f"/sessions/{rows[0].id}")
    ]
    whole += [await page_at(anywhere, f"/exchanges/{row.id}") for row in rows[1:]]
    whole += [await page_at(anywhere, f"/exchanges/{rows[1].id}/texts/answered/1")]
    whole += [
        await page_at(anywhere, f"/exchanges/{odd.id}/{part}")
        for part in (f"raw/{sent.id}", f"raw/{out.id}", "curl", "changes")
    ]
    everything = "".join(whole)
    assert not any(sign in everything for sign in "\u202e\u2066\x1b\x00\x9b")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in everything
    assert "{{ 7*7 }}" in everything
    assert "half a pair" in everything
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        for format in ("jsonl", "markdown", "har", "curl"):
            answer = await client.get(f"/api/exchanges/{odd.id}/export?format={format}")
            assert answer.status_code == 200
            assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markdown_runs_nothing(payload: str):
    for text in (payload, f"# {payload}", f"> {payload}", f"`{payload}`", f"[{payload}]({payload})", f"<{payload}>",
                 f"| {payload} |\n|-|\n| {payload} |", f"[x]: {payload}\n[x]", f"![{payload}]({payload})"):  # fmt: skip
        assert suspicious(str(markdown(text))) == []


def test_links_say_where_they_lead():
    shown = markdown(
        "[https://good.example](https://bad.example/x) <https://a@bad.example> [j](javascript:x) ![i](http://p.example/)"
    )
    assert 'href="https://bad.example/x" rel="noreferrer nofollow"' in shown
    assert shown.count("(bad.example)") == 2
    assert "javascript" not in shown.replace("[j](javascript:x)", "")
    assert "<img" not in shown
    assert '<p class="heading">' in markdown("# big")
    assert markdown("x" * 30_000).startswith('<p class="as-is">')


async def test_a_call_and_its_result_stand_together_across_pages(here: Office):
    records = conversation(TURNS + 2)
    await remember(here.url, records)
    id = records[0].id  # pyright: ignore[reportAttributeAccessIssue]
    first = await page_at(here, f"/sessions/{id}")
    assert first.count('class="turn"') == TURNS
    assert f"result {TURNS - 1} " in first
    after = first.split("turns?after=")[1].split('"')[0]
    rest = await page_at(here, f"/sessions/{id}/turns?after={after}")
    assert (rest.count('class="turn"'), "turns?after=" in rest) == (2, False)
    assert f"result {TURNS - 1} " not in rest
    newest = await page_at(here, f"/sessions/{id}?newest=true")
    assert f"<strong>Step {TURNS + 1}</strong>" in newest
    before = newest.split("turns?before=")[1].split('"')[0]
    earlier = await page_at(here, f"/sessions/{id}/turns?before={before}")
    assert (earlier.count('class="turn"'), "turns?before=" in earlier) == (2, False)
    assert newest.count("No result came back") == 1
    assert earlier.count("No result came back") == 0


async def test_a_long_session_loads_one_page_of_itself(here: Office):
    records = conversation(1_500, window=2)
    await remember(here.url, records)
    asked: list[int] = []
    turns = Queries.turns

    async def counted(self: Queries, rows: Any) -> Any:
        asked.append(len(rows))
        return await turns(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queries, "turns", counted)
        shown = await page_at(here, f"/sessions/{records[0].id}")  # pyright: ignore[reportAttributeAccessIssue]
    assert asked == [TURNS + 1]
    assert len(shown) < 165_000


async def test_pictures_come_from_the_log_and_nothing_else_does(here: Office):
    records = conversation(1)
    await remember(here.url, records)
    shown = await page_at(here, f"/sessions/{records[0].id}")  # pyright: ignore[reportAttributeAccessIssue]
    path = shown.split('<img class="preview" src="')[1].split('"')[0]
    async with here.client(here.hire("vera", "viewer")) as client:
        answer = await client.get(path)
        assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
        assert "sandbox" in answer.headers["content-security-policy"]
        svg = conversation(1)
        svg_bytes = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>" + b" " * 2000
        request = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [image(svg_bytes)]}]}
        row: Any = svg[1]
        await remember(here.url, [row, comm(row.id, endpoint=row.endpoint, content=dumps(request))])
        told = await client.get(f"/api/sessions/{row.session_id}/conversation")
        assert told.status_code == 404  # the exchange names a session that was never written
        page = await page_at(here, f"/exchanges/{row.id}")
        stored = page.split('src="/files/')[1].split('"')[0]
        assert (await client.get(f"/files/{stored}")).status_code == 404


async def test_what_was_changed_is_marked_on_both_sides(here: Office):
    records = whole_exchange()
    await remember(here.url, records)
    place = f"/exchanges/{records[0].id}"  # pyright: ignore[reportAttributeAccessIssue]
    shown = await page_at(here, f"{place}/changes") + await page_at(here, place)
    assert "<del>1</del>" in shown
    assert "<ins>2</ins>" in shown
    assert "modified to" in shown
    assert "no-touch" in shown


async def test_no_body_is_put_together_for_a_page_that_does_not_show_it(here: Office, monkeypatch: pytest.MonkeyPatch):
    records = conversation(1, text="word " * 300_000)
    await remember(here.url, records)
    place = f"/exchanges/{next(record.id for record in records if isinstance(record, ExchangeRow))}"
    assert "too large for a page" in await page_at(here, f"{place}/curl")
    monkeypatch.setattr("lockgate.storage.queries.joined", None)
    assert "<table" not in await page_at(here, f"{place}/changes")


@pytest.mark.parametrize("depth", [300, 3_000, 100_000])
def test_what_is_nested_too_deep_is_not_told_to_be_equal(depth: int):
    one, other = (b"[" * depth + name + b"]" * depth for name in (b"1", b"2"))
    assert "changed" in [pair.kind for pair in side_by_side(one, other)]
    assert side_by_side(one, one) == []


def test_differences_are_bounded():
    one = [{"n": at, "text": "same " * 50} for at in range(3_000)]
    other = [*one[:1500], {"n": "new"}, *one[1500:]]
    rows = side_by_side(json.dumps(one).encode(), json.dumps(other).encode())
    assert [row.count for row in rows if row.kind == "gap"] != []
    assert len(rows) < 20
    assert any("new" in text for row in rows for _, text in row.right or ())
    changed = [{"n": at, "text": f"other {at}"} for at in range(3_000)]
    assert len(side_by_side(json.dumps(one).encode(), json.dumps(changed).encode())) == 501
    long = side_by_side(
        json.dumps("a" * 10**6 + "b" + "c" * 10**6).encode(), json.dumps("a" * 10**6 + "d" + "c" * 10**6).encode()
    )
    assert max(len(text) for row in long for _, text in row.left or ()) < 700
    assert side_by_side(b'{"a": 1}', b'{"a":1}') == []
    assert side_by_side(None, b"{}")


async def test_a_call_leads_to_a_rule_for_who_may_make_one(here: Office):
    records = conversation(2)
    await remember(here.url, records)
    session = f"/sessions/{records[0].id}"  # pyright: ignore[reportAttributeAccessIssue]
    [never, *_] = re.findall(r'href="/policies#propose=([^"]*)">Never again', await page_at(here, session))
    wished = json.loads(unquote(never))
    assert (wished["wish"], wished["tool"]) == ("never", "Bash")
    assert isinstance(json.loads(wished["arguments"]), dict)
    assert "#propose=" not in await page_at(here, session, role="viewer")


@pytest.mark.parametrize(
    ("role", "text", "folded"),
    [
        ("system", "Be brief. " * 40, True),
        ("developer", "Be brief. " * 40, True),
        ("user", "<system-reminder>\n" + "Be brief. " * 40 + "</system-reminder>\n", True),
        ("user", "<a>" + "Be brief. " * 40 + "</b>", False),
        ("user", "Be brief. " * 40, False),
        ("assistant", "<a>" + "Be brief. " * 40 + "</a>", False),
        ("system", "Be brief.", False),
    ],
    ids=["system", "developer", "tagged", "tagged-otherwise", "person", "model", "short"],
)
def test_what_a_client_says_beside_the_conversation_is_folded(role: str, text: str, folded: bool):
    piece = Piece(block=Block(kind="text", role=role, text=text), rest="")
    assert piece.is_aside is folded
    assert piece.is_cut is False
