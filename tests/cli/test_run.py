"""`lockgate run`: what the command sees, what its caller sees, and what happens when something does not fit."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.commands import lockgate, start


def test_the_command_gets_its_arguments_and_gives_its_exit_code(tmp_path: Path) -> None:
    ran = lockgate(
        "run", "--", "sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "-p", "a b", "--config", folder=tmp_path, code=7
    )
    assert ran.stdout == "-p|a b|--config|"


def test_nothing_else_is_printed_while_it_runs_and_one_summary_at_the_end(tmp_path: Path) -> None:
    ran = lockgate("run", "--", "sh", "-c", "echo out; echo err >&2", folder=tmp_path)
    assert ran.stdout == "out\n"
    first, summary = ran.stderr.splitlines()
    assert first == "err"
    assert "no exchange with a model passed" in summary
    assert "HTTPS_PROXY" in summary


def test_the_summary_says_what_failed_and_why(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        upstream = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        hosts = {"api.anthropic.com": {"format": "anthropic", "upstream": upstream}}
        (tmp_path / "lockgate.yaml").write_text(json.dumps({"hosts": hosts}))
        asked = 'curl -s --data \'{"model": "m", "messages": []}\' https://api.anthropic.com/v1/messages'
        ran = lockgate("run", "--", "sh", "-c", asked, folder=tmp_path)
    assert "Lockgate got no reply from api.anthropic.com" in ran.stdout
    assert re.search(r"^lockgate: 1 exchange, .*; failed: 1, .*Connect call failed", ran.stderr, re.MULTILINE)


def test_the_command_is_led_through_the_proxy_and_trusts_it(tmp_path: Path) -> None:
    ran = lockgate(
        "run", "--", "sh", "-c",
        'echo "$HTTPS_PROXY $https_proxy"; grep -c BEGIN "$SSL_CERT_FILE"; echo "$NO_PROXY"',
        folder=tmp_path, env={"NO_PROXY": "intranet.example,api.anthropic.com"},
    )  # fmt: skip
    proxies, roots, exempt = ran.stdout.splitlines()
    assert len(set(proxies.split())) == 1
    assert re.match(r"http://lockgate:lg_\w{38}@127\.0\.0\.1:\d+ ", proxies)
    assert int(roots) > 1
    assert exempt == "localhost,127.0.0.1,::1,intranet.example"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command(tmp_path: Path, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f'trap "echo got; exit 3" {name}; echo ready; while :; do sleep 0.05; done'
    running = start(["run", "--", "sh", "-c", script], tmp_path)
    assert running.stdout
    assert running.stdout.readline() == "ready\n"
    try:
        running.send_signal(number)
        out, err = running.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    assert (running.returncode, out) == (3, "got\n"), err


def test_a_command_that_a_signal_ended_is_told_as_a_shell_would(tmp_path: Path) -> None:
    lockgate("run", "--", "sh", "-c", "kill -KILL $$", folder=tmp_path, code=128 + signal.SIGKILL)


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    ran = lockgate("run", "--", "no-such-command", folder=tmp_path, code=127)
    assert ran.stderr == "lockgate: no-such-command: No such file or directory\n"


def test_codex_runs_without_its_background_server(tmp_path: Path) -> None:
    codex = tmp_path / "codex"
    codex.write_text('#!/bin/sh\n[ "$1" = --help ] && echo "  --no-daemon  run alone" || echo "$@"\n')
    codex.chmod(0o755)
    assert lockgate("run", "--", codex, "exec", "hi", folder=tmp_path).stdout == "--no-daemon exec hi\n"
    assert lockgate("run", "--", codex, "--no-daemon", folder=tmp_path).stdout == "--no-daemon\n"
    codex.write_text('#!/bin/sh\n[ "$1" = --help ] && echo usage || echo "$@"\n')
    assert lockgate("run", "--", codex, "exec", "hi", folder=tmp_path).stdout == "exec hi\n"


def test_an_option_that_does_not_exist(tmp_path: Path) -> None:
    ran = lockgate("run", "--confg", "x", "--", "true", folder=tmp_path, code=2)
    assert "unknown option --confg" in ran.stderr


def test_no_command(tmp_path: Path) -> None:
    ran = lockgate("run", folder=tmp_path, code=2)
    assert "lockgate run -- COMMAND" in ran.stderr


@pytest.mark.parametrize(("settings", "named"), [
    ("databse: x", "unknown option 'databse' (did you mean 'database'?)"),
    ("rules: [{name: a, use: tols}]", "unknown policy 'tols'"),
    ("rules: [{name: a, use: tools, with: {denny: []}}]", "unknown option 'denny' (did you mean 'deny'?)"),
    ("hosts: {x.example: {format: opneai}}", "option 'hosts.x.example.format'"),
    ("listen: 8080", "listen"),
    ("a: [", "cannot be read as YAML"),
    ("- a", "the top of the file has keys"),
    ("database: mysql://x", "mysql"),
    ("database: sqlite:////dev/null/x.db", "/dev/null/x.db"),
    ("database: postgresql://user:sk-secret@127.0.0.1:1/db", "127.0.0.1"),
    ("ca: /dev/null/ca", "/dev/null/ca"),
])  # fmt: skip
def test_what_does_not_fit_is_named_in_one_sentence(tmp_path: Path, settings: str, named: str) -> None:
    (tmp_path / "lockgate.yaml").write_text(settings)
    ran = lockgate("run", "--", "echo", "started", folder=tmp_path, code=2)
    assert ran.stdout == ""
    assert named in ran.stderr
    assert ran.stderr.startswith("lockgate: ")
    assert "Traceback" not in ran.stderr
    assert "sk-secret" not in ran.stderr


def test_a_host_beyond_what_the_authority_may_sign(tmp_path: Path) -> None:
    lockgate("run", "--", "true", folder=tmp_path)
    (tmp_path / "lockgate.yaml").write_text("hosts: {llm.example.com: {format: openai}}")
    ran = lockgate("run", "--", "true", folder=tmp_path, code=2)
    assert "llm.example.com" in ran.stderr
    assert "lockgate cert rotate" in ran.stderr
    lockgate("cert", "rotate", folder=tmp_path)
    lockgate("run", "--", "true", folder=tmp_path)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = lockgate("serve", "--listen", f"127.0.0.1:{port}", folder=tmp_path, code=None)
    assert ran.returncode != 0
    assert str(port) in ran.stdout + ran.stderr
