"""Long heredocs are texts, whatever their size; what only looks like one is read."""

from __future__ import annotations

import pytest

from lockgate.policies.shell.heredocs import lift
from lockgate.policies.shell.read import read

BODY = "rm -rf / $(x) `y`\n" * 10_000


def runs(text: str) -> list[str]:
    return [str(one)[:40] for one in read(text).commands]


def test_a_long_text_is_no_command_and_what_follows_is():
    assert runs(f"cat > a.txt <<'EOF'\n{BODY}EOF\nls") == ["cat", "ls"]
    assert runs(f"cat > a.txt <<'EOF'\n{BODY}EOF") == ["cat"]


def test_the_text_is_what_the_command_reads():
    (command,) = read(f"cat > /a <<'EOF'\n{BODY}EOF\n").commands
    assert command.stdin == BODY


@pytest.mark.parametrize(
    "text",
    [
        f"echo \"<<'EOF'\n{BODY}\nEOF\n\"",
        f"# <<'EOF'\n{BODY}\nEOF\n",
        f"cat <<EOF\n{BODY}\nEOF\n",
        "<<A\n" * 60_000,
    ],
)
def test_what_is_none_is_not_taken_for_one(text: str):
    assert read(text).unclear


def test_only_so_many_are_looked_for():
    text, lifted = lift("<<A\n" * 1_000)
    assert text == "<<A\n" * 1_000
    assert not lifted
