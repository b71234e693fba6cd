"""The notice about a blocked call, and the command that tells it: run by a real shell."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.events import ToolCall
from lockgate.policies.commands import Unreadable, command_of
from lockgate.policies.notice import NOTICE_CHARS, explained, harmless, notice


def call(name: str, arguments: Any, *, custom: bool = False) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(block=1, id="call_1", name=name, arguments=text, custom=custom)


BASH = call("Bash", {"command": "ls"})
WRITE = {
    "file_path": "/a",
    "content": "one\n\ttwo",
    "mode": 5,
    "dry": False,
    "edits": [{"old": "a", "new": "b\nc"}, "x"],
    "none": None,
    "empty": [],
    "blank": "",
}


@pytest.mark.parametrize(
    ("given_call", "shown"),
    [
        (call("Bash", {"command": "touch x\nls", "description": "Make x"}), "$ touch x\n  ls\ndescription: Make x"),
        (call("shell", {"command": ["bash", "-lc", "ls"], "workdir": "/"}), "$ ls\nworkdir: /"),
        (
            call("Write", WRITE),
            "file_path: /a\ncontent: one\n  \ttwo\nmode: 5\ndry: false\nedits:\n  -\n    old: a\n    new: b\n      c\n"
            "  - x\nnone: null\nempty: []",
        ),
        (call("exec", "text(await tools.exec_command({cmd: 'ls'}))", custom=True), "$ ls"),
        (call("apply_patch", "*** Begin Patch\n+x", custom=True), "*** Begin Patch\n+x"),
        (call("Bash", '{"command": "ls'), '{"command": "ls'),
        (call("Bash", {"command": "\x1b[2Jx\u202ey\ud800"}), "$ ␛[2Jx\\u202ey\\ud800"),
        (call("Bash", {"command": "x" * 1500}), "$ " + "x" * 1000 + "… (500 more characters)"),
        (
            call("T", {f"k{n}": n for n in range(20)}),
            "\n".join(f"k{n}: {n}" for n in range(12)) + "\n… and 8 more arguments",
        ),
    ],
)
def test_notices(given_call: ToolCall, shown: str):
    indented = "\n".join(f"    {line}" for line in shown.split("\n"))
    expected = (
        f"Blocked by the Lockgate rule r: this call of the tool {given_call.name} did not run.\n\n{indented}\n\nNo."
    )
    assert notice("r", "No.", given_call) == expected


def test_a_call_without_arguments():
    expected = "Blocked by the Lockgate rule r: this call of the tool Stop did not run.\n\nNo."
    assert notice("r", "No.", call("Stop", "{}")) == expected


def test_what_is_no_call_is_one_line():
    assert notice("r", "Not\x07 here.", None) == "Blocked by the Lockgate rule r: Not␇ here."


@given(text=st.text())
def test_a_harmless_text_can_be_encoded_and_has_no_control_characters(text: str):
    out = harmless(text)
    assert out.encode().decode() == out
    assert not any(unicodedata.category(letter) == "Cc" and letter not in "\n\t" for letter in out)


NASTY = [
    "plain",
    "it's \"quoted\" and 'quoted'",
    "two\nlines\n\nand more",
    "$(touch /tmp/never) `id` ${HOME} $HOME !! \\n \\0 %s %d %%",
    "-n leading dash",
    "'; exit 0; '",
    "tab\there, é 😀 \u202e",
    "a\0b\x1b[31m\r\nend",
    "''''" * 20,
    "it's long: " + "x'\"$`\\\n" * 2_500,
    "",
]


def shown_by(argv: list[str]) -> str:
    """What the command says on standard error; it fails, and says nothing on standard output."""
    done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    return done.stderr.decode()


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_the_command_prints_the_text_and_fails(shell: str, text: str):
    command = command_of(explained(BASH, text))
    assert command is not None
    expected = harmless(text)
    printed = shown_by([shell, "-c", command])
    assert printed == (f"{expected}\n" if len(expected) <= NOTICE_CHARS else printed)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_a_listed_command_is_run_as_it_stands(text: str):
    given_call = call("shell", {"command": ["bash", "-lc", "rm x"], "workdir": "/"})
    arguments = json.loads(explained(given_call, text).arguments)
    assert arguments["workdir"] == "/"
    assert arguments["command"][:2] == ["bash", "-lc"]
    assert shown_by(["bash", "-c", arguments["command"][2]]) == f"{harmless(text)}\n"


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_a_program_only_tells(text: str):
    script = (
        "await tools.apply_patch('x'); await tools.exec_command({cmd: 'rm x'}); await tools.exec_command({cmd: 'y'})"
    )
    out = explained(call("exec", script, custom=True), text)
    command = command_of(out)
    assert command is not None
    assert "apply_patch('x')" not in out.arguments
    assert shown_by(["sh", "-c", command]) == f"{harmless(text)}\n"


def test_a_very_long_text_is_cut_so_that_a_system_takes_the_command():
    command = command_of(explained(BASH, "'" * 100_000))
    assert command is not None
    assert shown_by(["sh", "-c", command]).endswith("… (76,000 more characters)\n")


def test_the_call_keeps_its_shape_but_waits_and_asks_for_no_more_rights():
    given_call = call(
        "Bash",
        {
            "command": "x",
            "description": "d",
            "run_in_background": True,
            "dangerouslyDisableSandbox": True,
            "timeout": 5,
        },
    )
    out = explained(given_call, "No.")
    assert (out.id, out.name, out.block) == (given_call.id, given_call.name, given_call.block)
    assert json.loads(out.arguments) == {
        "command": "printf '%s\\n' No. >&2; exit 1",
        "description": "d",
        "run_in_background": False,
        "timeout": 5,
    }


def test_a_tool_that_runs_no_command_cannot_explain():
    with pytest.raises(Unreadable, match="runs no command"):
        explained(call("Read", {"file_path": "x"}), "No.")
