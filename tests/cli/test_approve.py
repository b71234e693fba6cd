"""`lockgate approve` as a person uses it, against what a proxy of another process has asked."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import pty
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.records import Approval, now
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.approvals import ApprovalDesk
from tests.cli.commands import LOCKGATE, environment, lockgate, start
from tests.storage.test_approvals import approval

EDIT = {"file_path": "/srv/app/main.py", "old_string": "a = 1\nb = 2\n", "new_string": "a = 1\nb = 3\n"}


class Asked:
    """A database, and what proxies asked there."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        (folder / "lockgate.yaml").write_text(json.dumps({"database": url, "home": "data"}))

    def put(self, **changes: Any) -> Approval:
        asked = approval(**changes)

        async def insert() -> None:
            rows = ApprovalRows(parse(self.url))
            await rows.insert(asked)
            await rows.close()

        asyncio.run(insert())
        return asked

    def now(self, asked: Approval) -> Approval:
        async def find() -> Approval | None:
            async with ApprovalDesk(self.url) as desk:
                return await desk.find(asked.id)

        found = asyncio.run(find())
        assert found
        return found

    def approve(self, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        return lockgate("approve", *arguments, folder=self.folder, code=code, env=variables)


@pytest.fixture
def at(database_url: str, tmp_path: Path) -> Asked:
    schema.upgrade(database_url)
    return Asked(database_url, tmp_path)


@pytest.fixture
def here(sqlite_url: str, tmp_path: Path) -> Asked:
    schema.upgrade(sqlite_url)
    return Asked(sqlite_url, tmp_path)


def test_what_waits_is_listed_shown_and_approved(at: Asked) -> None:
    assert "Nothing waits." in at.approve("list").stdout
    asked = at.put()
    listed = at.approve("list").stdout
    assert asked.id[-8:] in listed
    assert "git push" in listed
    shown = at.approve("show", asked.id[-8:]).stdout
    for each in ("ask-first", "it pushes", "user: Ship it.", "$ git push", asked.digest, "then it is denied"):
        assert each in shown
    done = at.approve(asked.id[-8:], "--yes").stdout
    assert "$ git push" in done
    assert f"{asked.id} is approved, by {getpass.getuser()}." in done
    found = at.now(asked)
    assert (found.state, found.decided_by) == ("approved", getpass.getuser())
    assert "Nothing waits." in at.approve("list").stdout
    assert "approved" in at.approve("list", "--all").stdout


def test_a_call_is_denied_with_a_note(at: Asked) -> None:
    asked = at.put()
    done = at.approve("deny", asked.id, "--note", "use the mirror", "--show-note", "--by", "anna")
    assert done.stdout == f"{asked.id} is denied, by anna. The agent may read the note.\n"
    found = at.now(asked)
    assert (found.state, found.note, found.note_shown, found.decided_by) == ("denied", "use the mirror", True, "anna")


def test_a_note_is_for_the_record_unless_one_says_so(here: Asked) -> None:
    asked = here.put()
    here.approve("deny", asked.id, "--note", "he always does that")
    assert here.now(asked).note_shown is False


def test_a_call_is_edited(at: Asked) -> None:
    asked = at.put()
    at.approve("edit", asked.id, "--arguments", '{ "command": "git push --dry-run" }', "--by", "anna")
    found = at.now(asked)
    assert (found.state, found.edited) == ("edited", '{"command":"git push --dry-run"}')
    assert "git push --dry-run" in at.approve("show", asked.id).stdout


def test_a_call_is_edited_in_an_editor(here: Asked) -> None:
    asked = here.put()
    here.approve("edit", asked.id, EDITOR="sed -i s/push/status/")
    assert here.now(asked).edited == '{"command":"git status"}'


def test_free_text_is_edited_as_it_is(here: Asked) -> None:
    asked = here.put(custom=True, tool="apply_patch", arguments="*** Begin Patch\n-a\n+b\n*** End Patch")
    here.approve("edit", asked.id, EDITOR="sed -i s/+b/+c/")
    assert here.now(asked).edited == "*** Begin Patch\n-a\n+c\n*** End Patch"


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (("--arguments", "[1]"), {}, "not a JSON object"),
        (("--arguments", '{"a": 1, "a": 2}'), {}, "nothing was decided"),
        (("--arguments", "{"), {}, "nothing was decided"),
        (
            ("--arguments", '{"command": 5}'),
            {},
            "they are not what the tool's schema allows: command: type: string; nothing was",
        ),
        ((), {"EDITOR": "true"}, "nothing was changed, and nothing decided"),
        ((), {"EDITOR": "false"}, "the editor ended with 1"),
        ((), {}, "set EDITOR, or give the --arguments"),
    ],
)
def test_an_edit_that_is_none_decides_nothing(
    here: Asked, arguments: tuple[str, ...], variables: dict[str, str], sentence: str
) -> None:
    asked = here.put()
    assert sentence in here.approve("edit", asked.id, *arguments, code=2, **variables).stderr
    assert here.now(asked).state == "pending"


def test_an_edit_of_a_file_is_shown_as_a_difference(here: Asked) -> None:
    asked = here.put(tool="Edit", arguments=json.dumps(EDIT))
    shown = here.approve("show", asked.id).stdout
    assert "     a = 1\n    -b = 2\n    +b = 3\n" in shown
    assert "file_path: /srv/app/main.py" in shown


def test_what_a_model_wrote_plays_no_tricks_on_the_terminal(here: Asked) -> None:
    asked = here.put(
        arguments=json.dumps({"command": "ls \x1b[2J\u202e\u200b\nrule       harmless"}),
        reason="x\nrule       harmless", tool="Bash\x1b[1m", context=(("user", "\x1b]0;x\x07"),),
    )  # fmt: skip
    for command in (("show", asked.id), ("list",)):
        shown = here.approve(*command).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\u200b" not in shown
        assert [line for line in shown.splitlines() if line.startswith("rule ")] in ([], ["rule       ask-first"])


def test_json_is_for_programs(here: Asked) -> None:
    asked = here.put()
    [listed] = json.loads(here.approve("list", "--json").stdout)
    shown = json.loads(here.approve("show", asked.id, "--json").stdout)
    assert listed == shown
    assert (shown["id"], shown["digest"], shown["context"][0]) == (
        asked.id, asked.digest, {"role": "user", "text": "Ship it."}
    )  # fmt: skip
    decided = json.loads(here.approve(asked.id, "--yes", "--json").stdout)
    assert decided["state"] == "approved"
    assert json.loads(here.approve("list", "--json").stdout) == []


def test_nobody_approves_by_a_slip(here: Asked) -> None:
    asked = here.put()
    assert "say --yes" in here.approve(asked.id, code=2).stderr
    assert here.now(asked).state == "pending"


@pytest.mark.parametrize(("answer", "state"), [(b"y\n", "approved"), (b"n\n", "pending"), (b"\n", "pending")])
def test_a_person_at_a_terminal_is_asked(here: Asked, answer: bytes, state: str) -> None:
    asked = here.put()
    ours, theirs = pty.openpty()
    command = [LOCKGATE, "approve", asked.id]
    os.write(ours, answer)
    ran = subprocess.run(
        command,
        cwd=here.folder,
        env=environment(here.folder),
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert "Approve this call? [y/N]" in ran.stdout
    assert "$ git push" in ran.stdout
    assert here.now(asked).state == state
    assert ran.returncode == (0 if state == "approved" else 2)


def test_of_two_people_one_decides(here: Asked) -> None:
    asked = here.put()
    here.approve("deny", asked.id, "--by", "ben")
    assert "was denied by ben at" in here.approve(asked.id, "--yes", code=2).stderr
    assert here.now(asked).state == "denied"


def test_a_program_decides_about_the_call_that_it_showed(here: Asked) -> None:
    asked = here.put(digest="9f86d081884c")
    for digest in ("9f86", "00000000", "9f86d081884cff"):
        assert "look at it again" in here.approve(asked.id, "--yes", "--digest", digest, code=2).stderr
        assert "look at it again" in here.approve("deny", asked.id, "--digest", digest, code=2).stderr
    here.approve("deny", asked.id, "--digest", "9F86d081")
    assert here.now(asked).state == "denied"


def test_a_deadline_that_has_passed(here: Asked) -> None:
    asked = here.put(deadline=now() - timedelta(seconds=1))
    assert "until its deadline" in here.approve(asked.id, "--yes", code=2).stderr
    assert "expired" in here.approve("list", "--all").stdout


def test_ids_that_are_none(here: Asked) -> None:
    assert "no approval has the id" in here.approve("show", "abcdef01", code=2).stderr
    assert "is not the id of an approval" in here.approve("the-push", "--yes", code=2).stderr


def test_new_ones_are_printed_as_they_come(at: Asked) -> None:
    first = at.put()
    watching = start(["approve", "watch"], at.folder)
    assert watching.stdout
    assert first.id[-8:] in watching.stdout.readline()
    for _ in range(2):
        asked = at.put()
        assert asked.id[-8:] in watching.stdout.readline()
    watching.terminate()
    watching.communicate()
