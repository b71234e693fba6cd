"""`lockgate run` in a terminal: the command has the terminal to itself, and Lockgate prints nothing until it ends.

The terminal is a pseudo-terminal. As on a real one, a shell with job control is at its other end, and runs a script.
"""

from __future__ import annotations

import errno
import os
import pty
import select
import shlex
import subprocess
import sys
import termios
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.commands import LOCKGATE, RUN_SECONDS, environment

CTRL_C, CTRL_Z = "\x03", "\x1a"
LINES, COLUMNS = 31, 97
SUMMARY = "lockgate: no exchange with a model passed."
TAKE_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
CHILD = """
import os, signal, sys, urllib.error, urllib.request

def proxied():
    # The proxy answers from the same loop that Lockgate handles signals in: all that came before are done then.
    proxy = "http://" + os.environ["HTTPS_PROXY"].rpartition("@")[2]
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(proxy)
    except urllib.error.HTTPError as error:
        return 400 <= error.code < 600

def size():
    print("size", os.get_terminal_size().lines, os.get_terminal_size().columns, flush=True)

def await_signal(number, say):
    # Blocked until it is waited for: one that comes before that is not missed, and another one stays pending.
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    say()
    signal.sigwait({number})
"""


class Terminal:
    """A terminal in which a shell runs a script; `seen` is all that was written to it."""

    def __init__(self, script: str, folder: Path) -> None:
        self.seen = ""
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (LINES, COLUMNS))
        _no_echo(slave)
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, "sh", "-c", script],
            stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment(folder, TERM="xterm", PS1="ready> "),
        )  # fmt: skip
        os.close(slave)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, lines: int, columns: int) -> None:
        termios.tcsetwinsize(self._master, (lines, columns))

    def until(self, text: str, times: int = 1) -> None:
        """Waits until the text has been written so many times."""
        deadline = time.monotonic() + RUN_SECONDS
        while self.seen.count(text) < times:
            assert self._read(deadline - time.monotonic()), f"{text!r} was not written: {self.seen!r}"

    def end(self) -> str:
        """Waits until the shell has ended; gives all that was written, without the carriage returns."""
        deadline = time.monotonic() + RUN_SECONDS
        while self._read(deadline - time.monotonic()):
            pass
        assert self._process.wait(RUN_SECONDS) == 0, self.seen
        return self.seen.replace("\r", "")

    def close(self) -> None:
        """Hangs up; what is still running gets SIGHUP."""
        os.close(self._master)
        self._process.kill()
        self._process.wait()

    def _read(self, seconds: float) -> bool:
        """Whether anything more was written; the time must not pass before that."""
        ready, _, _ = select.select([self._master], [], [], max(seconds, 0))
        assert ready, f"nothing was written any more: {self.seen!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux tells so that nobody has the other end any more
                raise
            return False
        self.seen += data.decode()
        return bool(data)


@contextmanager
def terminal(command: Sequence[str], folder: Path, after: str = "") -> Generator[Terminal]:
    """A terminal in which `lockgate run` runs the command; then the exit code is printed."""
    run = shlex.join([LOCKGATE, "run", "--", *command])
    opened = Terminal(f'set -m; {run}; echo "code $?"; {after}', folder)
    try:
        yield opened
    finally:
        opened.close()


def python(script: str) -> list[str]:
    return [sys.executable, "-c", CHILD + script]


def _no_echo(terminal: int) -> None:
    """So that what is written is only what programs write."""
    modes = termios.tcgetattr(terminal)
    modes[3] &= ~(termios.ECHO | termios.ECHOCTL)
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def test_the_command_sees_the_terminal_in_its_size_and_its_changes(tmp_path: Path) -> None:
    script = "print(*map(os.isatty, (0, 1, 2))); await_signal(signal.SIGWINCH, size); size()"
    with terminal(python(script), tmp_path) as shown:
        shown.until(f"size {LINES} {COLUMNS}")
        shown.resize(20, 60)
        written = shown.end()
    assert written.startswith(f"True True True\nsize {LINES} {COLUMNS}\nsize 20 60\n{SUMMARY}")


def test_nothing_else_is_written_while_the_command_runs(tmp_path: Path) -> None:
    with terminal(python("assert proxied(); print('asked', flush=True); print('got', input())"), tmp_path) as shown:
        shown.until("asked")
        shown.press("a line\n")
        command, summary = shown.end().split(SUMMARY)
    assert command == "asked\ngot a line\n"
    assert summary.endswith("\ncode 0\n")
    assert summary.count("\n") == 2


def test_control_c_reaches_the_command_once_and_only_the_command(tmp_path: Path) -> None:
    script = """
await_signal(signal.SIGINT, lambda: print("ready", flush=True))
assert proxied()
print("another:", signal.SIGINT in signal.sigpending())
sys.exit(3)
"""
    with terminal(python(script), tmp_path) as shown:
        shown.until("ready")
        shown.press(CTRL_C)
        written = shown.end()
    assert written.startswith("ready\nanother: False\n" + SUMMARY)
    assert written.endswith("\ncode 3\n")


def test_a_command_that_control_c_ends_is_told_as_a_shell_would(tmp_path: Path) -> None:
    with terminal(["sh", "-c", "echo ready; exec sleep 1000"], tmp_path) as shown:
        shown.until("ready")
        shown.press(CTRL_C)
        written = shown.end()
    assert written.startswith("ready\n" + SUMMARY)
    assert written.endswith("\ncode 130\n")


def test_control_z_stops_both_and_fg_continues_them(tmp_path: Path) -> None:
    script = "print('ready', flush=True); print('got', input()); print('proxied', proxied())"
    with terminal(python(script), tmp_path, after='read line; fg; echo "code $?"') as shown:
        shown.until("ready")
        shown.press(CTRL_Z)
        shown.until("code 148" if sys.platform == "linux" else "code 146")
        assert SUMMARY not in shown.seen
        shown.press("continue\n")
        shown.until("run -- ")  # the shell tells what it continues
        shown.press("a line\n")
        shown.until("got a line")
        written = shown.end()
    assert "proxied True\n" + SUMMARY in written
    assert written.endswith("\ncode 0\n")


def test_control_c_at_the_prompt_of_a_shell_does_not_end_it(tmp_path: Path) -> None:
    with terminal(["sh", "-i"], tmp_path) as shown:
        shown.until("ready> ")
        shown.press(CTRL_C)
        shown.until("ready> ", times=2)
        shown.press("exit 5\n")
        written = shown.end()
    assert SUMMARY in written
    assert written.endswith("\ncode 5\n")


@pytest.mark.parametrize("command", [["true"], ["sh", "-c", "stty raw -echo; stty sane -echo"]], ids=["plain", "raw"])
def test_the_modes_of_the_terminal_are_as_the_command_left_them(tmp_path: Path, command: list[str]) -> None:
    run = shlex.join([LOCKGATE, "run", "--", *command])
    opened = Terminal(f"set -m; {shlex.join(command)}; stty -g; {run} 2>/dev/null; stty -g", tmp_path)
    try:
        before, after = opened.end().splitlines()
    finally:
        opened.close()
    assert before == after
