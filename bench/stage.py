"""What a benchmark plays on: a provider, a client, plain mitmdump and Lockgate, in a folder that is thrown away."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from lockgate.access.administrators import Role
from lockgate.access.grant import Grant
from lockgate.access.keyring import open_keyring
from lockgate.bench.certificates import make_provider_files
from lockgate.bench.processes import Helper, Program, Proxy, clean_environment, free_port
from lockgate.bench.traffic import HOST, KEY
from lockgate.bench.usage import check_system, cores
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.administrators import Administrators
from lockgate.storage.provider_keys import ProviderKeys

MITMDUMP = "import sys; from mitmproxy.tools.main import mitmdump; sys.exit(mitmdump())"
LOCKGATE = "from lockgate.cli import main; main()"
UNLOGGED = "from lockgate.bench.unlogged import forget; forget(); from lockgate.cli import main; main()"
CERTIFICATE_FILE = "mitmproxy-ca-cert.pem"

PLAIN_SCRIPT = """\
def responseheaders(flow):
    flow.response.stream = flow.response.headers.get("content-type", "").startswith("text/event-stream")
"""
"""Streams what Lockgate streams, and nothing else, at the price of one hook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """A proxy with a console, and who may look at it."""

    program: Program
    port: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that is measured, and with what."""

    folder: Path
    client: Helper
    """Does one job at a time."""
    provider_port: int
    judge_port: int
    provider_authority: Path
    core: set[int]
    """Where proxies run."""

    @property
    def plain(self) -> Program:
        """mitmdump without output. Its clients name the provider's address in CONNECT, so that it rewrites nothing."""
        home = self._home("plain")
        script = home / "plain.py"
        script.write_text(PLAIN_SCRIPT)
        options = [
            "-q", "--listen-host", "127.0.0.1", "--listen-port", "{port}", "-s", str(script),
            "--set", f"confdir={home}", "--set", "connection_strategy=lazy",
            "--set", f"ssl_verify_upstream_trusted_ca={self.provider_authority}",
        ]  # fmt: skip
        target = f"127.0.0.1:{self.provider_port}"
        return self._program("plain", MITMDUMP, options, target, home / CERTIFICATE_FILE)

    @property
    def lockgate(self) -> Program:
        """Lockgate as it comes: its default policy set, its log in SQLite."""
        return self._lockgate("lockgate")

    def guarded(self, grant: Grant) -> tuple[Program, str]:
        """The same where every client shows a token, and a token with this grant."""
        program = self._lockgate("guarded", access={"mode": "token"})
        return program, _token_in(self._home("guarded") / "home", grant)

    def console(self, name: str, database: str = "", role: Role = "viewer") -> Console:
        """The same with a console, and the key of one who looks at it."""
        port = free_port()
        more: dict[str, Any] = {"database": database} if database else {}
        program = self._lockgate(name, admin={"listen": f"127.0.0.1:{port}"}, **more)
        return Console(program=program, port=port, key=_key_in(self._home(name) / "home", database, name, role))

    @property
    def unlogged(self) -> Program:
        """The same without a log."""
        return self._lockgate("unlogged", code=UNLOGGED)

    def judging(self, seconds: float, name: str = "judging") -> Program:
        """Lockgate with a judge that takes so long for each tool call; the name tells two that run at once apart."""
        url = f"http://127.0.0.1:{self.judge_port}/judge/{seconds}"
        options = {"url": url, "model": "judge", "timeout_seconds": 600, "retries": 0}
        rule = {"name": "review", "use": "judge", "deadline_seconds": 600, "with": options}
        return self._lockgate(name, rule)

    @contextmanager
    def both(self) -> Generator[tuple[Proxy, Proxy]]:
        """Plain mitmdump and Lockgate, side by side."""
        with self.plain.running(self.core) as plain, self.lockgate.running(self.core) as lockgate:
            yield plain, lockgate

    def _lockgate(self, name: str, *rules: Any, code: str = LOCKGATE, **more: Any) -> Program:
        home = self._home(name)
        upstream = f"https://127.0.0.1:{self.provider_port}"
        host = {"format": "anthropic", "upstream": upstream, "upstream_ca": str(self.provider_authority)}
        document: dict[str, Any] = {
            "home": "home",
            "hosts": {HOST: host},
            **({"rules": rules} if rules else {}),
            **more,
        }
        (home / "lockgate.yaml").write_text(json.dumps(document))  # JSON is YAML
        options = ["serve", "--config", str(home / "lockgate.yaml"), "--listen", "127.0.0.1:{port}"]
        return self._program(name, code, options, f"{HOST}:443", home / "home" / "ca" / CERTIFICATE_FILE)

    def _program(self, name: str, code: str, options: Sequence[str], target: str, authority: Path) -> Program:
        command = [sys.executable, "-c", code, *options]
        return Program(
            name=name, command=command, target=target, authority=authority, folder=self.folder / name,
            environment=clean_environment(),
        )  # fmt: skip

    def _home(self, name: str) -> Path:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return home


def _token_in(home: Path, grant: Grant) -> str:
    """A token in the database of a proxy that has not run yet, and a provider key to go in its place."""
    home.mkdir(mode=0o700, exist_ok=True)
    url, keyring = f"sqlite:///{home / 'lockgate.db'}", open_keyring(home)
    schema.upgrade(url)
    with Access(url, keyring) as access, ProviderKeys(url, keyring) as keys:
        access.create_project("bench", grant=grant)
        keys.add("anthropic", KEY, name="bench")
        secret, _ = access.create_token("bench", lifetime=timedelta(days=1), grant=grant)
    return secret


def _key_in(home: Path, database: str, name: str, role: Role) -> str:
    """An administrator's key in the database of a proxy that has not run yet, by default its own."""
    home.mkdir(mode=0o700, exist_ok=True)
    url, keyring = database or f"sqlite:///{home / 'lockgate.db'}", open_keyring(home)
    schema.upgrade(url)
    with Administrators(url, keyring) as people:
        people.create(name, role)
        return people.add_key(name)[0]


@contextmanager
def staged() -> Generator[Stage]:
    """A stage with its helpers running. Raises BenchError on a system that cannot be measured."""
    check_system()
    core, others = cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockgate-bench-")))
        files = make_provider_files(folder)
        provider = Helper("lockgate.bench.provider", str(files.server), on=others)
        stack.callback(provider.close)
        provider_port, judge_port = provider.hear()
        client = Helper("lockgate.bench.client", on=others)
        stack.callback(client.close)
        yield Stage(
            folder=folder, client=client, provider_port=provider_port, judge_port=judge_port,
            provider_authority=files.authority, core=core,
        )  # fmt: skip
