"""Windows' command shell, made readable."""

from __future__ import annotations

import pytest

from lockgate.policies.shell.cmd import cmd_as_shell, is_cmd


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"del %USERPROFILE%\x", True),
        (r"for /d %i in (C:\*) do rd %i", True),
        ("p^owershell -c x", True),
        ("date +%Y%m%d", False),
        ("printf '%s%%' 5", False),
        ("git show HEAD^", False),
    ],
)
def test_what_is_of_that_shell(text: str, expected: bool):
    assert is_cmd(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"del %UserProfile%\a\b", "del ~/a/b"),
        ("set a=del&& !a! /s x", "set a=del&& del /s x"),
        ("d^el x", "del x"),
        (r"for /d %i in (C:\Users\*) do rd /s %i", "rd /s C:/Users/*"),
        ("for %i in (a b) do del %i", "del a ; del b"),
        ("if not exist out call del x", "del x"),
        ("echo %nothing_of_that_name%", "echo \ue000nothing_of_that_name\ue001"),
    ],
)
def test_the_same_commands_for_the_reader(text: str, expected: str):
    assert cmd_as_shell(text) == expected
