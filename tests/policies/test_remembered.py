"""What is remembered of a call: asked once, bounded by length, and changed by nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lockgate.events import ToolCall
from lockgate.policies.commands import command_of, document_of, with_command
from lockgate.policies.remembered import LEAST, remembered


def asked(characters: int) -> tuple[list[str], Callable[..., int]]:
    seen = list[str]()

    @remembered(characters)
    def length(text: str, *more: object) -> int:
        seen.append(text)
        if not text:
            raise ValueError("nothing to measure")
        return len(text)

    return seen, length


def test_the_same_is_asked_once_and_the_oldest_forgotten():
    seen, length = asked(3 * (LEAST + 10))
    for text in ("a" * 10, "b" * 10, "c" * 10, "a" * 10, "d" * 10, "a" * 10, "b" * 10):
        assert length(text) == 10
    assert [text[0] for text in seen] == ["a", "b", "c", "d", "b"]


def test_the_newest_stays_whatever_its_length_and_what_is_raised_does_not():
    seen, length = asked(100)
    assert (length("x" * 5_000), length("x" * 5_000), length("y"), length("x" * 5_000)) == (5_000, 5_000, 1, 5_000)
    assert len(seen) == 3
    for _ in range(2):
        with pytest.raises(ValueError, match="nothing"):
            length("")
    assert seen.count("") == 2


def test_everything_that_is_asked_about_counts():
    seen, length = asked(1_000_000)
    assert (length("a", 1), length("a", 2), length("a"), length("a", 1)) == (1, 1, 1, 1)
    assert len(seen) == 3


def test_it_may_be_asked_from_threads():
    _, length = asked(5_000)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: length("x" * (n % 40 + 1)), range(2_000)))
    assert answers == [n % 40 + 1 for n in range(2_000)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Bash", {"command": "rm -rf ~", "description": "d"}),
        ("shell", {"command": ["bash", "-lc", "rm -rf ~"], "workdir": "/srv"}),
        ("local_shell", {"action": {"type": "exec", "command": ["rm", "-rf", "~"]}}),
    ],
)
def test_another_command_does_not_change_what_is_remembered(name: str, arguments: dict[str, object]):
    call = ToolCall(block=0, id="c", name=name, arguments=json.dumps(arguments))
    before = document_of(call)
    assert command_of(with_command(call, "ls")) == "ls"
    assert "rm" in str(command_of(call))
    assert document_of(call) is before
    assert before == arguments
