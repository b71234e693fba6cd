"""Commands that stand in another program's language, in its options, or in variables that it starts."""

from __future__ import annotations

import pytest

from lockgate.policies.shell.read import read


def started(text: str) -> list[str]:
    return [str(command) for command in read(text).commands]


@pytest.mark.parametrize(
    "text",
    [
        """guile -c '(system "rm -rf /x")'""",
        "expect -c 'spawn rm -rf /x; expect eof'",
        "gdb -batch -ex 'shell rm -rf /x'",
        "sqlite3 a.db '.shell rm -rf /x'",
        "make SHELL='/bin/sh -c' CC='rm -rf /x'",
        "man -P 'rm -rf /x' ls",
        "gcc -wrapper rm,-rf,/x a.c",
        "git clone 'ext::rm -rf /x'",
        "PAGER='rm -rf /x' git -p log",
        "x='() { :;}; rm -rf /x' bash -c :",
        "BASH_ENV=<(echo rm -rf /x) bash -c true",
        "bash --rcfile <(echo rm -rf /x) -i",
        "bash /dev/stdin <<< 'rm -rf /x'",
        "bash -c '$0 -rf /x' rm",
        "complete -C 'rm -rf /x' ls",
        "a=([0]=rm [1]=-rf [2]=/x); ${a[@]}",
        "IFS=,; c=rm,-rf,/x; $c",
        "bash -c '{echo,cm0gLXJmIC94}|{base64,-d}|{bash,-i}'",
        "npm exec -c 'rm -rf /x'",
        "npx concurrently 'rm -rf /x' 'echo a'",
        "echo 'xm -rf /x' | sed 's/x\\(m\\)/r\\1/' | sh",
        "awk 'BEGIN{printf \"%c%c -rf /x\",114,109}' | sh",
        'perl -e \'exec pack("H*", "726d202d7266202f78")\'',
        "php -r 'system(str_rot13(\"ez -es /k\"));'",
    ],
)
def test_what_it_starts_is_found(text: str):
    assert "rm -rf /x" in started(text)


@pytest.mark.parametrize(
    "text",
    [
        "emacs --batch -l build.el -f compile",
        "gdb -batch -ex 'thread apply all bt'",
        "sqlite3 a.db '.schema'",
        "PAGER=cat git log",
        "make -j4 CC=gcc",
        "git commit -m 'ext:: is off'",
        "screen /dev/ttyUSB0 115200",
        "npm pkg set scripts.clean='rm -rf dist'",
        "echo '{rm,-rf}'",
    ],
)
def test_what_starts_nothing(text: str):
    assert not any(command.startswith("rm") for command in started(text))
