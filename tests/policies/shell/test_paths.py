"""Where paths lead."""

from __future__ import annotations

import pytest

from lockgate.policies.shell.model import HERE, some, unset
from lockgate.policies.shell.paths import place


@pytest.mark.parametrize(
    ("path", "cwd", "expected"),
    [
        ("/a/./b/../c//d/", HERE, "/a/c/d"),
        ("/../..", HERE, "/"),
        ("x/y", HERE, "./x/y"),
        ("../x", HERE, "./../x"),
        ("../x", "/a/b", "/a/x"),
        ("~/x", "/a", "~/x"),
        ("~/..", HERE, "/home"),
        ("~me/x", HERE, "/home/me/x"),
        ("~root", HERE, "/root"),
        (".", "~/p", "~/p"),
        (f"{unset('X')}/y", HERE, "$X/y"),
        (f"{some('a/b')}/y", HERE, "<a/b>/y"),
        ("C:\\Users\\me", HERE, "/c:/Users/me"),
        ("file:///etc/x", HERE, "/etc/x"),
        ("/private/tmp/x", HERE, "/tmp/x"),
    ],
)
def test_places(path: str, cwd: str, expected: str):
    assert str(place(path, cwd)) == expected


def test_links_are_followed_also_in_circles():
    links = {f"{HERE}/k": "~/.ssh", f"{HERE}/a": f"{HERE}/b", f"{HERE}/b": f"{HERE}/a"}
    assert str(place("k/id_rsa", HERE, links)) == "~/.ssh/id_rsa"
    assert place("a/x", HERE, links).parts[-1] == "x"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/w/p/src", "./src"), ("/w/p", "."), ("/w/other", "/w/other"), ("../other", "/w/other"), ("src", "./src")],
)
def test_a_known_workspace(path: str, expected: str):
    assert str(place(path, HERE, None, "/w/p")) == expected
