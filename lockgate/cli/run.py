"""`lockgate run -- COMMAND`: a command whose model traffic goes through a proxy of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lockgate.config import Config, Loaded, load
from lockgate.errors import ConfigError
from lockgate.exchange import Exchange
from lockgate.records import ExchangeRow

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Sent to this process alone, so they are passed on. What a terminal sends, the command gets by itself."""


def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    config: Path | None = None,
    policy: str | None = None,
) -> int:
    """Run a command, such as an AI agent, with its model traffic under control.

    Parameters
    ----------
    command
        The command and its arguments, after `--`.
    config
        The configuration file; otherwise ./lockgate.yaml, else the user's own.
    policy
        The policy set, before the file's own rules: observe, coding-agent, strict, red-team, or ./FILE.yaml.
    """
    if not command:
        raise ConfigError("no command was given: lockgate run -- COMMAND [ARGUMENT ...]")
    if command[0].startswith("-"):
        raise ConfigError(f"unknown option {command[0]}; options of Lockgate's stand before `--`, the command after it")
    loaded = load(config, {"policy": policy})
    return asyncio.run(_run(command, loaded))


class Summary:
    """What passed while the command ran, for the closing lines."""

    def __init__(self) -> None:
        self.exchanges = self.tokens_in = self.tokens_out = 0
        self.blocked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def add(self, row: ExchangeRow, x: Exchange) -> None:
        self.exchanges += 1
        if row.usage:
            self.tokens_in += row.usage.prompt_tokens
            self.tokens_out += row.usage.output_tokens
        if row.outcome in ("cut", "error"):
            self.failed[row.error or f"status {row.status}"] += 1
        self.blocked.update(d.rule for d in x.decisions if d.action == "blocked" and d.mode == "enforce")

    def text(self, loaded: Loaded) -> str:
        if not self.exchanges:
            return (
                "lockgate: no exchange with a model passed. If there should have been one: does the command honour "
                "HTTPS_PROXY, is its model host in `lockgate config show`, and does it work by itself, not through a "
                "background process that was started elsewhere?\n"
            )
        blocked = ", ".join(f"{count} by {rule}" for rule, count in self.blocked.most_common()) or "none"
        failed = "".join(f"; failed: {self.failed.total():,}, {why}" for why, _ in self.failed.most_common(1))
        config = "" if loaded.file is None or loaded.file.parent == Path.cwd() else f" --config {loaded.file}"
        return (
            f"lockgate: {_count(self.exchanges, 'exchange')}, {self.tokens_in:,} tokens in, {self.tokens_out:,} out; "
            f"blocked: {blocked}{failed}. More: lockgate log list{config}\n"
        )


async def _run(command: Sequence[str], loaded: Loaded) -> int:
    from lockgate.addons.master import running
    from lockgate.app import build

    config, summary = loaded.config, Summary()
    log_to_file(config.home)
    service = build(loaded, summary.add, managed=False)
    async with running(service) as port:
        try:
            environment = _environment(config, f"http://lockgate:{service.issue()}@127.0.0.1:{port}")
            code = await _run_child(await _by_itself(command, environment), environment)
        except OSError as error:
            print(f"lockgate: {command[0]}: {error.strerror or error}", file=sys.stderr)
            return 127 if isinstance(error, FileNotFoundError) else 126
    with suppress(AttributeError, OSError):  # the caller may have closed it
        sys.stderr.write(summary.text(loaded))
    return code


async def _by_itself(command: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """Codex without its background server, which keeps the proxy of whoever started it, and outlives this one."""
    if Path(command[0]).name != "codex" or "--no-daemon" in command:
        return command
    asked = await asyncio.create_subprocess_exec(
        command[0], "--help", env=environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )
    told, _ = await asked.communicate()
    return [command[0], "--no-daemon", *command[1:]] if b"--no-daemon" in told else command  # older ones have none


def _environment(config: Config, proxy_url: str) -> Mapping[str, str]:
    from lockgate.certs.ca import open_authority
    from lockgate.certs.trust import bundle, client_environment

    authority = open_authority(config.ca, config.hosts)
    roots = bundle(authority, config.ca, os.environ)
    return client_environment(proxy_url, authority, roots, os.environ, hosts=config.hosts).variables


async def _run_child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code, as a shell would tell it: 128 and the signal's number where a signal ended the command."""
    loop = asyncio.get_running_loop()
    started: asyncio.Future[asyncio.subprocess.Process] = loop.create_future()

    def pass_on(send: Callable[[asyncio.subprocess.Process, signal.Signals], None], number: signal.Signals) -> None:
        started.add_done_callback(lambda child: send(child.result(), number))  # also what came before it ran

    for number in (signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, pass_on, _interrupt, number)
    for number in FORWARDED:
        loop.add_signal_handler(number, pass_on, _send, number)
    child = await asyncio.create_subprocess_exec(*command, env=dict(environment))
    started.set_result(child)
    code = await child.wait()
    return code if code >= 0 else 128 - code


def _interrupt(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """A key pressed in the terminal reaches the command by itself; a signal from elsewhere does not."""
    if not _from_terminal():
        _send(child, number)


def _from_terminal() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _send(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        child.send_signal(number)


def log_to_file(home: Path) -> None:
    """Every log line goes to a file in `home`, and none to the terminal that the command draws on."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = RotatingFileHandler(home / "lockgate.log", maxBytes=5_000_000, backupCount=3, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
