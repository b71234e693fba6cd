"""`lockgate log` shows what passed, and makes and changes nothing."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli import policy
from lockgate.errors import Error, StorageError
from lockgate.records import Record, Relation
from tests.cli.remembered import database, remember, said
from tests.storage.records import comm, decision, exchange_row, frames_row

__all__ = ["database", "said"]

ENDPOINT = "/v1/messages"
REQUEST = {
    "model": "claude-x",
    "max_tokens": 9,
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": "Touch it\x1b[31m, please: Grüße"}],
    "huge": 2**80,
}
TEXT = {"type": "text", "text": "Of course."}
CALL = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "touch marker"}}
REPLY = {
    **{"id": "m", "type": "message", "role": "assistant", "model": "claude-x", "content": [TEXT, CALL]},
    **{"stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 2}},
}
FINAL = {**REPLY, "content": [TEXT, {"type": "text", "text": "Blocked by no-touch."}], "stop_reason": "end_turn"}


def exchange(reply: Any = REPLY, final: Any = None) -> list[Record]:
    row = exchange_row(endpoint=ENDPOINT)
    asked = comm(row.id, content=json.dumps(REQUEST).encode())
    came = comm(row.id, type="RESPONSE", content=json.dumps(reply).encode())
    records: list[Record] = [row, asked, came, decision(row.id, action="blocked" if final else "forwarded")]
    if final is None:
        return records
    changed = comm(row.id, type="RESPONSE", content=json.dumps(final).encode())
    return [*records, changed, Relation(from_comm_id=came.id, to_comm_id=changed.id, type="modified_to")]


def test_list_is_a_table_with_the_newest_last(database: str, said: Any) -> None:
    rows = [exchange_row(model=f"model-{number}") for number in range(3)]
    remember(database, rows)
    head, *lines = said("list").splitlines()
    assert " ".join(head.split()) == "time id provider model agent history tokens cost outcome rules duration"
    assert [line.split()[2:5] for line in lines] == [[row.id[-8:], "anthropic", row.model] for row in rows]
    assert "80 in, 20 out" in lines[0]
    assert "no-touch, mask" in lines[0]
    assert lines[0].endswith("99 ms")


def test_a_question_of_lockgates_own_is_told_as_one_and_can_be_read(database: str, said: Any) -> None:
    client = exchange_row(model="claude-x", endpoint=ENDPOINT)
    judge = exchange_row(model="judge-1", endpoint=ENDPOINT, agent="lockgate", trigger="judge", attested="")
    asked = comm(judge.id, content=json.dumps(REQUEST).encode(), trigger="judge")
    came = comm(judge.id, type="RESPONSE", content=json.dumps(REPLY).encode(), trigger="judge")
    of_client = comm(client.id, content=json.dumps(REQUEST).encode())
    remember(database, [client, of_client, judge, asked, came,
                        Relation(from_comm_id=of_client.id, to_comm_id=asked.id, type="judged_by")])  # fmt: skip
    assert said("list").splitlines()[-1].split()[5:7] == ["lockgate", "judge"]
    shown = said("show", judge.id)
    assert "user: Touch it" in shown
    assert "Of course." in shown
    assert "judge-1" in said("show", client.id).partition("related")[2]


def test_list_as_json_has_every_field_and_follows_limit_before_and_filters(database: str, said: Any) -> None:
    rows = [exchange_row(outcome=outcome) for outcome in ("passed", "blocked", "passed")]
    rows[0] = replace(rows[0], usage=None)
    remember(database, rows)
    (newest,) = json.loads(said("list", "--json", "--limit", "1"))
    told = {**asdict(rows[2]), "started_at": rows[2].started_at.isoformat(), "rules": list(rows[2].rules)}
    told["usage"].pop("cache_write_1h_tokens")  # only its cost is kept
    assert newest == {**told, "labels": [], "session_labels": [], "notes": []}
    assert [one["id"] for one in json.loads(said("list", "--json", "--before", rows[2].id))] == [
        rows[0].id,
        rows[1].id,
    ]
    assert [one["id"] for one in json.loads(said("list", "--json", "--outcome", "blocked"))] == [rows[1].id]
    assert said("list", "--rule", "none") == "No exchange fits.\n"


def test_list_shows_side_calls_only_when_asked(database: str, said: Any) -> None:
    remember(database, [exchange_row(kind="other", model="", endpoint="GET /v1/models")])
    assert said("list") == "No exchange yet.\n"
    assert "GET /v1/models" in said("list", "--all")


def test_show_tells_request_reply_and_decisions(database: str, said: Any) -> None:
    records = exchange()
    remember(database, records)
    shown = said("show", records[0].id[-8:])
    for part in ("claude-x of anthropic", "tools: Bash", "user: Touch it\\u001b[31m, please: Grüße", "Of course.",
                 'call Bash {\n    "command": "touch marker"', "it touches"):  # fmt: skip
        assert part in shown
    assert "\x1b" not in shown
    assert "log diff" not in shown


def test_show_tells_the_reply_that_the_client_got(database: str, said: Any) -> None:
    records = exchange(final=FINAL)
    remember(database, records)
    shown = said("show", records[0].id)
    assert "Blocked by no-touch." in shown
    assert "touch marker" not in shown
    assert f"lockgate log diff {records[0].id[-8:]}" in shown


CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "shell", "arguments": '{"command": "ls"}'}}
CHAT = {
    **{"id": "c", "object": "chat.completion", "created": 1, "model": "gpt"},
    "choices": [
        {
            **{"index": 0, "finish_reason": "tool_calls"},
            "message": {"role": "assistant", "content": "Sure.", "tool_calls": [CHAT_CALL]},
        }
    ],
}
RESPONSE = {
    **{"id": "r", "object": "response", "status": "completed", "model": "gpt"},
    "output": [
        {
            **{"id": "m", "type": "message", "role": "assistant", "status": "completed"},
            "content": [{"type": "output_text", "text": "Sure.", "annotations": []}],
        },
        {
            **{"id": "f", "type": "function_call", "call_id": "c", "status": "completed"},
            **{"name": "shell", "arguments": '{"command": "ls"}'},
        },
    ],
}


@pytest.mark.parametrize(
    ("endpoint", "request_", "reply"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "List."}]}, CHAT),
        ("POST /v1/responses", {"input": "List."}, RESPONSE),
    ],
)
def test_show_reads_every_format(database: str, said: Any, endpoint: str, request_: Any, reply: Any) -> None:
    row = exchange_row(endpoint=endpoint)
    asked = comm(row.id, content=json.dumps({"model": "gpt", **request_}).encode())
    remember(database, [row, asked, comm(row.id, type="RESPONSE", content=json.dumps(reply).encode())])
    shown = said("show", row.id)
    for part in ("user: List.", "\n  Sure.\n", 'call shell {\n    "command": "ls"\n'):
        assert part in shown


def test_show_gives_what_is_no_message_as_it_is(database: str, said: Any) -> None:
    row = exchange_row(endpoint="/v1/messages/count_tokens")
    records = [comm(row.id, content=b"{}"), comm(row.id, type="RESPONSE", content=b'{"input_tokens":7}')]
    remember(database, [row, *records])
    assert '  {"input_tokens":7}\n' in said("show", row.id)


def test_show_gives_a_reply_that_it_cannot_read_as_it_is(database: str, said: Any) -> None:
    records = exchange(reply="Bad gateway\x1b[2J")
    remember(database, records)
    assert '"Bad gateway\\u001b[2J"' in said("show", records[0].id)


def test_show_as_json_has_the_bodies_exactly(database: str, said: Any) -> None:
    records = exchange(final=FINAL)
    remember(database, records)
    whole = json.loads(said("show", records[0].id, "--json"))
    assert [one["content"] for one in whole["comms"]] == [REQUEST, REPLY, FINAL]
    assert [one["type"] for one in whole["relations"]] == ["modified_to"]
    assert whole["decisions"][0]["given"] == {"name": "Bash"}
    assert whole["exchange"]["id"] == records[0].id


@pytest.mark.parametrize(("indent", "told"), [(None, "bytes as sent: yes"), (2, "bytes as sent: no (equal as JSON)")])
def test_show_tells_whether_the_bytes_are_those_that_were_sent(
    database: str, said: Any, indent: int | None, told: str
) -> None:
    row = exchange_row(endpoint=ENDPOINT)
    remember(database, [row, comm(row.id, content=json.dumps(REQUEST, indent=indent).encode())])
    assert f"  stored once; {told}\n" in said("show", row.id)
    [shown] = json.loads(said("show", row.id, "--json"))["comms"]
    assert (shown["content"], shown["joined"]) == (REQUEST, {"as_sent": indent is None, "damage": ""})


def test_show_tells_what_was_damaged_in_the_log(database: str, said: Any) -> None:
    records = exchange()
    remember(database, records)
    with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as other:
        other.execute("UPDATE thread SET depth = 0, parent = hash")
        other.commit()
    shown = said("show", records[0].id)
    assert shown.count("  damaged in the log: the thread's node ") == 2
    assert "does not follow from its parent" in shown


def test_diff_shows_only_what_was_changed(database: str, said: Any) -> None:
    records = exchange(final=FINAL)
    remember(database, records)
    lines = said("diff", records[0].id).splitlines()
    assert lines[:2] == ["--- reply (original)", "+++ reply (final)"]
    assert '-  "stop_reason": "tool_use",' in lines
    assert '+  "stop_reason": "end_turn",' in lines
    change = json.loads(said("diff", records[0].id, "--json"))
    assert (list(change), change["reply"]["original"], change["reply"]["final"]) == (["reply"], REPLY, FINAL)
    assert change["reply"]["diff"] == lines


def test_diff_says_so_when_nothing_was_changed(database: str, said: Any) -> None:
    records = exchange()
    remember(database, records)
    assert said("diff", records[0].id) == "Nothing was changed.\n"
    assert json.loads(said("diff", records[0].id, "--json")) == {}


def test_diff_says_so_when_what_was_changed_reads_the_same(database: str, said: Any) -> None:
    records = exchange(final=REPLY)
    remember(database, records)
    assert said("diff", records[0].id).startswith("What was changed (reply) reads the same before and after: ")


def test_the_tools_of_an_exchange_are_pinned(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    records = exchange()
    remember(database, records)
    policy.app(["pin", records[0].id[-8:]], result_action="return_value")
    assert capsys.readouterr().out.startswith("tools:\n")
    with pytest.raises(Error, match="no exchange has the id 'abcdef'"):
        policy.app(["pin", "abcdef"], result_action="return_value")


def test_an_unknown_id_says_how_to_find_one(database: str, said: Any) -> None:
    remember(database, exchange())
    with pytest.raises(Error, match="no exchange has the id 'abcdef': `lockgate log list --all`"):
        said("show", "abcdef")


@pytest.mark.parametrize("words", [("list",), ("show", "abcdef"), ("diff", "abcdef")])
def test_a_missing_database_is_named_and_not_made(words: tuple[str, ...], said: Any, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no log yet in .*lockgate\.db"):
        said(*words)
    assert list(tmp_path.iterdir()) == []


def test_frames_are_told_in_the_order_of_time(database: str, said: Any) -> None:
    row, bare, whole = exchange_row(), exchange_row(), exchange_row(streamed=False)
    remember(database, [row, frames_row(row.id, "event: a\n\n", "two \x1b[31m", "three"), bare, whole])
    assert [" ".join(line.split()) for line in said("show", row.id[-8:], "--frames").splitlines()] == [
        "10.5 ms original 1 held 2.0 ms event: a",
        "11.5 ms original 2 * two \\u001b[31m",
        "12.5 ms original 3 three",
        "12.5 ms final 1 held 2.0 ms original 1, as it came",
        "12.5 ms final 3 original 3, as it came",
        "13.0 ms final 2 * other \ufffd",
        "* not passed on as it came",
        "1 more original frames (1,204 bytes) were not kept: `log.frame_bytes`",
    ]
    document = json.loads(said("show", row.id, "--frames", "--json"))
    assert [each["text"] for each in document["items"]][1] == "two \x1b[31m"
    assert document["left_out"] == {"original": {"frames": 1, "bytes": 1204}}
    assert "log: {frames: all}" in said("show", bare.id, "--frames")
    assert "not streamed" in said("show", whole.id, "--frames")
    assert json.loads(said("show", bare.id, "--frames", "--json")) == {"kept": False, "items": [], "left_out": {}}
