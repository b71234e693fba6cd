"""`lockgate log search`, `cost`, `label`, `note` and `export`, and the options that they share with `list`."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import Error, StorageError
from lockgate.events import Usage
from lockgate.records import Record, Relation, now
from lockgate.storage.address import parse
from lockgate.units import moment, nano_usd
from tests.cli.remembered import database, remember, said
from tests.storage.records import START, comm, decision, exchange_row

__all__ = ["database", "said"]

ENDPOINT = "POST /v1/messages"
TEXT = {"type": "text", "text": "Of course:\n# not a heading\n\x1b[31m"}
CALL = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "echo ```"}}
REPLY = {
    **{"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [TEXT, CALL]},
    **{"stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 2}},
}
FINAL = {**REPLY, "content": [TEXT, {"type": "text", "text": "Blocked by no-touch."}]}


def exchange(asked: str = "Touch it, please", **changes: Any) -> list[Record]:
    row = exchange_row(**{"endpoint": ENDPOINT, "model": "claude-haiku-4-5", **changes})
    document = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": asked}]}
    request = comm(row.id, endpoint=ENDPOINT, content=json.dumps(document).encode())
    came, final = (
        comm(row.id, type="RESPONSE", endpoint=ENDPOINT, status=200, content=json.dumps(one).encode())
        for one in (REPLY, FINAL)
    )
    changed = Relation(from_comm_id=came.id, to_comm_id=final.id, type="modified_to")
    return [row, request, came, final, changed, decision(row.id)]


def test_search_shows_the_place_and_the_exchange(database: str, said: Any) -> None:
    records = exchange()
    remember(database, records)
    head, place = said("search", "please touch").splitlines()
    assert head.split()[2:] == [records[0].id[-8:], "claude-haiku-4-5", "claude-code", "user"]
    assert place == "    Touch it, please"
    assert "\x1b" not in said("search", "course")
    assert said("search", "nowhere") == "Nothing fits.\n"
    assert said("search", "touch", "--model", "none") == "Nothing fits.\n"


def test_search_as_json_has_the_hit(database: str, said: Any) -> None:
    records = exchange()
    remember(database, records)
    (hit,) = json.loads(said("search", "please", "--json"))
    assert hit["exchange"]["id"] == records[0].id
    assert hit["excerpt"] == {"before": "Touch it, ", "hit": "please", "after": ""}
    assert (hit["role"], hit["comm_id"]) == ("user", records[1].id)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), [0, 1]),
        (("--tool", "Bash"), [0, 1]),
        (("--tool", "Read"), []),
        (("--since", "2026-11-22T00:00:00+00:00"), [1]),
        (("--until", "2026-11-22T00:00:00Z"), [0]),
        (("--action", "blocked", "--rule", "no-touch"), [0, 1]),
        (("--project", "q"), [1]),
        (("--status", "200", "--min-tokens", "1000"), [1]),
        (("--min-cost", "$0.001"), [1]),
        (("--label", "keep"), [0]),
    ],
)
def test_list_takes_every_filter(database: str, said: Any, options: tuple[str, ...], numbers: list[int]) -> None:
    usage = Usage(input_tokens=1_000)
    rows = [exchange(), exchange(usage=usage, project="q", started_at=START + timedelta(days=1))]
    remember(database, [*rows[0], *rows[1]])
    said("label", rows[0][0].id, "+keep")
    found = [one["id"] for one in json.loads(said("list", "--json", *options))]
    assert found == [rows[number][0].id for number in numbers]


def test_cost_adds_up(database: str, said: Any) -> None:
    remember(database, [*exchange(), *exchange(model="mystery", counted_by="tiktoken")])
    head, first, second, together, lacking = said("cost").splitlines()
    assert head.split() == ["model", "exchanges", "input", "cache", "read", "cache", "write", "output", "cost"]
    assert first.split() == ["claude-haiku-4-5", "1", "10", "30", "40", "20", "$0.000163"]
    assert re.split(r"\s{2,}", second)[-2:] == ["20", "1 without a price, 1 counted by Lockgate"]
    assert together == "together $0.000163 and what has no price"
    assert lacking == "No price is known for 1 of the exchanges: `prices` in the configuration takes your own."
    _, both, _ = said("cost", "--by", "project").splitlines()
    assert re.split(r"\s{2,}", both)[-2:] == ["at least $0.000163", "1 without a price, 1 counted by Lockgate"]
    assert "$" not in said("cost", "--model", "mystery")
    (day,) = json.loads(said("cost", "--by", "day", "--json"))
    assert (day["key"], day["exchanges"], day["nano_usd"]) == ("2026-11-21", 2, 163_000)


def test_show_tells_cost_labels_and_notes(database: str, said: Any) -> None:
    known, unknown = exchange(), exchange(model="mystery", session_id="")
    remember(database, [*known, *unknown])
    assert said("label", known[0].id, "+keep", "+bug:1", "-none") == "exchange: bug:1, keep\nsession: no labels\n"
    assert said("label", known[0].id, "--session", "+case") == "exchange: bug:1, keep\nsession: case\n"
    assert said("label", known[0].id, "-bug:1") == "exchange: keep\nsession: case\n"
    assert said("note", known[0].id, "look\x1b at this").startswith("Noted;")
    shown = said("show", known[0].id)
    for line in ("cost         $0.000163", "labels       keep, case (session)", "note         look\\u001b at this ("):
        assert line in shown
    assert "cost         unknown: no price is known for mystery at api.anthropic.com" in said("show", unknown[0].id)
    assert said("list").splitlines()[1].rstrip().endswith("keep, case (session), *")
    row = json.loads(said("list", "--json"))[0]
    assert (row["labels"], row["session_labels"], row["notes"][0]["text"]) == (["keep"], ["case"], "look\x1b at this")
    assert json.loads(said("show", known[0].id, "--json"))["exchange"]["labels"] == ["keep"]
    with pytest.raises(Error, match="belongs to no session"):
        said("label", unknown[0].id, "+x", "--session")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("label", "abcdef", "+x"), "no exchange has the id 'abcdef'"),
        (("note", "abcdef", "x"), "no exchange has the id 'abcdef'"),
        (("label", "abcdef", "x"), r"'x': write \+x to add the label, -x to remove it"),
        (("list", "--since", "yesterday"), "'yesterday' is no time: give 30m"),
        (("list", "--min-cost", "much"), "'much' is no sum"),
        (("search", "?!"), "has no word in it"),
    ],
)
def test_what_does_not_fit_is_named(database: str, said: Any, words: tuple[str, ...], sentence: str) -> None:
    remember(database, exchange())
    with pytest.raises(Error, match=sentence):
        said(*words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        (" 7 D ", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_span_is_counted_back(text: str, expected: timedelta) -> None:
    assert moment(text, START) == START - expected
    assert now() - moment(text) - expected < timedelta(minutes=10)


def test_a_time_without_a_zone_is_local() -> None:
    assert moment("2026-11-21T09:30:00Z") == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert moment("2026-11-21") == datetime(2026, 11, 21).astimezone()


@pytest.mark.parametrize("text", ["", "2x", "99999999999w", "0000-01-01", "21.11.2026"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Error, match=r"no time|longer ago"):
        moment(text)


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity"])
def test_what_is_no_sum_is_refused(text: str) -> None:
    assert nano_usd("0.25") == nano_usd("$.25") == 250_000_000
    with pytest.raises(Error, match="is no sum"):
        nano_usd(text)


def test_export_as_jsonl_has_everything(database: str, said: Any, tmp_path: Path) -> None:
    rows = [exchange(f"number {number} \ud800") for number in range(3)]
    remember(database, [one for records in rows for one in records])
    said("label", rows[1][0].id, "+keep")
    whole = [json.loads(line) for line in said("export", "--format", "jsonl").splitlines()]
    assert [one["exchange"]["id"] for one in whole] == [records[0].id for records in rows]
    assert [one["exchange"]["labels"] for one in whole] == [[], ["keep"], []]
    assert whole[0] == json.loads(said("show", rows[0][0].id, "--json"))
    assert whole[2]["comms"][0]["content"]["messages"][0]["content"] == "number 2 \ud800"
    file = tmp_path / "out.jsonl"
    words = ("export", "--format", "jsonl", "--output", str(file), "--label", "keep")
    assert said(*words) == f"1 exchange in {file}\n"
    assert json.loads(file.read_text()) == whole[1]
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Error, match="exists already: give the name of a new file"):
        said(*words)


def test_export_goes_page_by_page(database: str, said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.storage.export.PAGE", 2)
    rows = [exchange_row() for _ in range(5)]
    remember(database, rows)
    lines = said("export", "--format", "jsonl").splitlines()
    assert [json.loads(line)["exchange"]["id"] for line in lines] == [row.id for row in rows]


def test_export_as_markdown_is_a_conversation(database: str, said: Any) -> None:
    first, second = exchange("Touch *it*"), exchange("again")
    remember(database, [*first, *second])
    said("note", first[0].id, "two\nlines")
    text = said("export", "--format", "markdown")
    assert text.count("# s-1\n") == 1
    assert [line for line in text.splitlines() if line.startswith("#")][1:] == [
        line for line in text.splitlines() if line.startswith("## ")
    ]
    for part in ("> two\n> lines\n", "**User**\n\nTouch *it*\n", "**Assistant**\n\nOf course:\n\\# not a heading\n",
                 "Blocked by no-touch.", "> **blocked by no-touch** it touches"):  # fmt: skip
        assert part in text
    assert "\x1b" not in text
    assert "Call of" not in text  # the client did not get it


def test_markdown_fences_what_tools_are_given(database: str, said: Any) -> None:
    records = [one for one in exchange() if not isinstance(one, Relation)]
    remember(database, [*records[:3]])
    assert "**Call of Bash**\n\n````text\ncommand: echo ```\n````\n" in said("export", "--format", "markdown")


def check_har(document: Any) -> None:
    """What the specification of HAR 1.2 asks for: each key that has to be there, and its type."""
    number, text = (int, float), str
    log = checked(document["log"], version=text, creator=dict, entries=list)
    assert log["version"] == "1.2"
    checked(log["creator"], name=text, version=text)
    for entry in log["entries"]:
        checked(entry, startedDateTime=text, time=number, request=dict, response=dict, cache=dict, timings=dict)
        assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo
        common = {"httpVersion": text, "cookies": list, "headers": list, "headersSize": int, "bodySize": int}
        request = checked(entry["request"], method=text, url=text, queryString=list, **common)
        response = checked(entry["response"], status=int, statusText=text, content=dict, redirectURL=text, **common)
        for pair in (*request["headers"], *request["queryString"], *response["headers"]):
            checked(pair, name=text, value=text)
        if "postData" in request:
            checked(request["postData"], mimeType=text, text=text, params=list)
        checked(response["content"], size=int, mimeType=text)
        timings = checked(entry["timings"], send=number, wait=number, receive=number)
        assert all(value >= 0 for value in timings.values())
        assert sum(timings.values()) == pytest.approx(entry["time"])


def checked(found: dict[str, Any], /, **keys: Any) -> dict[str, Any]:
    for name, kind in keys.items():
        assert isinstance(found[name], kind), (name, found)
        assert not isinstance(found[name], bool)
    return found


def test_export_as_har_keeps_to_the_format(database: str, said: Any) -> None:
    records = exchange()
    side = exchange_row(kind="other", endpoint="GET /v1/models", status=None, duration_ms=None, first_byte_ms=None)
    remember(database, [*records, side])
    document = json.loads(said("export", "--format", "har", "--all"))
    check_har(document)
    first, second = document["log"]["entries"]
    assert first["request"]["url"] == "https://api.anthropic.com/v1/messages?beta=true"
    assert json.loads(first["request"]["postData"]["text"])["messages"][0]["content"] == "Touch it, please"
    assert json.loads(first["response"]["content"]["text"]) == FINAL
    assert (first["response"]["status"], first["response"]["statusText"]) == (200, "OK")
    assert first["timings"] == {"send": 0, "wait": 12.5, "receive": 86.75}
    assert (second["request"]["method"], second["response"]["status"]) == ("GET", 0)


def test_an_export_says_what_cannot_be_put_together(database: str, said: Any) -> None:
    remember(database, exchange())
    with contextlib.closing(sqlite3.connect(parse(database).path)) as connection:
        connection.execute("UPDATE thread SET parent = hash")
        connection.commit()
    for format in ("markdown", "har", "jsonl"):
        assert re.search("does not follow from its parent", said("export", "--format", format)), format


def test_an_empty_har_is_one_too(database: str, said: Any) -> None:
    remember(database, exchange())
    document = json.loads(said("export", "--format", "har", "--model", "none"))
    check_har(document)
    assert document["log"]["entries"] == []


@pytest.mark.parametrize(
    "words", [("search", "x"), ("cost",), ("label", "abcdef"), ("note", "abcdef", "x"), ("export", "--format", "har")]
)
def test_a_missing_database_is_named_and_not_made(words: tuple[str, ...], said: Any, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no log yet in .*lockgate\.db"):
        said(*words)
    assert list(tmp_path.iterdir()) == []
