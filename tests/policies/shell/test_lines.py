from __future__ import annotations

import pytest

from lockgate.policies.danger.judge import judge
from lockgate.policies.shell.read import read

TWO_LINES = """git add -A && git commit -m "writer: say why it fails
It did rm -rf the cache before." && git log -19
awk -F, '$3 > 23 { print $1, $2 }' tests/batch.csv | sort | uniq -c
find . -name '*.rs' -not -path './node_modules/*' | xargs grep -l 'parse'
git checkout -b cursor-47 && git push -u origin cursor-47
"""
"""After such lines the grammar takes the end of a line for a blank."""


def test_a_line_ends_a_command():
    commands = read(f"{TWO_LINES}python -m json.tool < a.json").commands
    assert ("push", "-u", "origin", "cursor-47") in [one.args for one in commands]
    assert any(one.name == "python" or "json.tool" in one.words for one in commands)


def test_what_stands_in_the_next_line_is_judged():
    assert judge(f"{TWO_LINES}rm -rf ~\ngit log").score == 1.0
    assert judge(f"{TWO_LINES}git log").score < 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo a \\\n b", ("echo", "a", "b")),
        ("echo 'a\nb' c", ("echo", "a\nb", "c")),
        ("cat <<A x\nrm -rf /\nA\n", ("cat", "x")),
        ("cat <<A \\\n x\nrm -rf /\nA\n", ("cat", "x")),
    ],
)
def test_what_goes_on_in_the_next_line(text: str, words: tuple[str, ...]):
    assert words in [one.words for one in read(text).commands]
