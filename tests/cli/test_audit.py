"""What the command line does is in the audit trail, and `lockgate audit` shows it, whatever stands there."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lockgate.cli.approve import app as approve
from lockgate.cli.audit import app as audit
from lockgate.cli.db import app as db
from lockgate.cli.key import app as key
from lockgate.cli.kill import app as kill
from lockgate.cli.log import app as log
from lockgate.cli.noting import who
from lockgate.cli.policy import app as policy
from lockgate.cli.project import app as project
from lockgate.cli.token import app as token
from lockgate.errors import Error
from lockgate.storage import schema
from tests.cli.commands import Ran, run, use
from tests.cli.test_approve import Asked
from tests.storage.records import audit_entry
from tests.storage.test_audit import HOSTILE
from tests.storage.verifying import record

SECRET = "sk-ant-api03-" + "k" * 30


@pytest.fixture(autouse=True)
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    use(monkeypatch, database_url, tmp_path)
    schema.upgrade(database_url)
    return database_url


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    return Ran(capsys)


def acts(ran: Ran) -> list[tuple[str, str]]:
    """The oldest first."""
    return [(one["act"], one["outcome"]) for one in reversed(ran.json(audit, "list"))]


def test_what_is_done_is_there_by_who_did_it(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran.text(audit, "list") == "No entry yet.\n"
    monkeypatch.setenv("USER", "somebody-else")
    run(project, "create", "shop", "--budget", "$5/day")
    made = ran.json(token, "create", "shop", "--name", "nightly")
    run(token, "revoke", made["id"])
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
    added = ran.json(key, "add", "anthropic")
    run(key, "disable", added["id"][-8:])
    run(kill, "--agent", "claude-code", "--by", "eve")
    with pytest.raises(Error):
        run(token, "refresh", made["id"])
    assert acts(ran) == [
        ("project.create", "success"),
        ("token.create", "success"),
        ("token.revoke", "success"),
        ("key.create", "success"),
        ("key.disable", "success"),
        ("kill.create", "success"),
        ("token.refresh", "error"),
    ]
    found = ran.json(audit, "list")
    assert {(one["who"], one["where"]) for one in found} == {(who(), "local")}
    assert "somebody-else" not in who()
    assert found[1]["after"]["set_by"] == "eve"
    assert found[2]["subject"] == f"key {added['id']}"
    assert (found[2]["before"]["active"], found[2]["after"]["active"]) == (True, False)
    assert found[6]["after"]["grant"] == {"budgets": [{"per": "day", "usd": 5.0}]}
    text = ran.text(audit, "export")
    assert not any(secret in text for secret in (made["token"], SECRET, "k" * 9))
    with pytest.raises(SystemExit) as verified:
        run(log, "verify")
    assert verified.value.code == 0


def test_decisions_about_calls_are_there(database: str, tmp_path: Path, ran: Ran) -> None:
    asked = Asked(database, tmp_path)
    first, second = asked.put(), asked.put()
    run(approve, first.id, "--yes", "--by", "eve", "--note", "fine")
    run(approve, "deny", second.id)
    with pytest.raises(Error, match="was approved by eve"):
        run(approve, "deny", first.id)
    assert acts(ran) == [("approval.approve", "success"), ("approval.deny", "success"), ("approval.deny", "error")]
    entry = ran.json(audit, "list", "--act", "approval.approve")[0]
    assert (entry["subject"], entry["after"]["by"], entry["after"]["note"]) == (f"approval {first.id}", "eve", "fine")


def test_a_rollback_and_a_prune_are_there(database: str, tmp_path: Path, ran: Ran) -> None:
    from lockgate.app import build
    from lockgate.config import load

    file = tmp_path / "lockgate.yaml"
    file.write_text("rules: [{name: a, use: noop}]\n")
    first = build(load()).registry.current.version
    file.write_text("rules: [{name: b, use: noop}]\nretention: {audit_days: 30}\n")
    second = build(load()).registry.current.version
    run(policy, "rollback", first)
    record(database, [audit_entry(at=audit_entry().at.replace(year=2020))])
    assert ran.json(db, "prune", "--dry-run")["audit"] == 1
    assert "1 entry of the audit trail went" in ran.text(db, "prune")
    assert acts(ran) == [("policy.rollback", "success"), ("log.prune", "success")]
    rolled = ran.json(audit, "list", "--act", "policy")[0]
    assert (rolled["before"], rolled["after"]) == ({"version": second}, {"version": first})


def test_a_rollback_goes_on_where_it_cannot_be_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lockgate.cli.noting import note
    from lockgate.config import load_config

    monkeypatch.setenv("LOCKGATE_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    note(load_config(), "policy.rollback", "policy set")
    assert "it is done, and is not noted in the audit trail" in capsys.readouterr().err


def test_nothing_in_an_entry_steers_the_terminal_or_breaks_a_line(database: str, ran: Ran) -> None:
    entry = audit_entry(
        **dict.fromkeys(("who", "where", "act", "subject", "reason"), HOSTILE), before=json.dumps({HOSTILE: HOSTILE})
    )
    record(database, [entry])
    for words in (("list",), ("show", entry.id), ("list", "--json"), ("export",)):
        text = ran.text(audit, *words)
        assert not {sign for sign in text if (sign < " " and sign != "\n") or sign in "\x7f\x9b\u202e"}
        assert "DROP TABLE" in text
    [line] = ran.text(audit, "export").splitlines()
    assert json.loads(line)["who"] == HOSTILE
    assert json.loads(line)["before"] == {HOSTILE: HOSTILE}
    assert ran.json(audit, "list", "--who", HOSTILE)[0]["id"] == entry.id


def test_entries_are_found_shown_and_exported(database: str, tmp_path: Path, ran: Ran) -> None:
    every = [audit_entry(subject=f"token {number}") for number in range(30)]
    summed = audit_entry(act="access.unknown", outcome="denied", reason="no", count=9_000, last_at=audit_entry().at)
    record(database, [*every, summed])
    assert [one["id"] for one in ran.json(audit, "list", "--limit", "3")] == [summed.id, every[29].id, every[28].id]
    page = ran.json(audit, "list", "--before", every[28].id, "--limit", "2")
    assert [one["id"] for one in page] == [every[27].id, every[26].id]
    assert len(ran.json(audit, "list", "--act", "access", "--outcome", "denied", "--since", "1h")) == 1
    assert "9,000" in ran.text(audit, "list", "--text", "NO")
    assert "9,000 until" in ran.text(audit, "show", summed.id[-8:])
    assert ran.text(audit, "list", "--until", "1h") == "No entry fits.\n"
    with pytest.raises(Error, match="no entry has the id"):
        run(audit, "show", "00000000")
    with pytest.raises(Error, match="is no time"):
        run(audit, "list", "--since", "soon")
    assert ran.text(audit, "export", "--output", "trail.jsonl") == "31 entries in trail.jsonl\n"
    lines = (tmp_path / "trail.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [one.id for one in (*every, summed)]
