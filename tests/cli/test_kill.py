"""`lockgate kill` as an operator types it, and two proxies that hear of it."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli import kill as kill_command
from lockgate.cli.kill import app
from lockgate.errors import Error, StorageError
from lockgate.records import SessionRow, now
from lockgate.storage import schema
from tests.addons.messages import ASK, PATH, START, stream, text
from tests.cli.commands import LOCKGATE, environment
from tests.storage import logs
from tests.storage.records import exchange_row
from tests.upstream.proxied import H1Client, Provider, Tls, running_provider, soon, tls, tunnel

__all__ = ["tls"]


@pytest.fixture
def url(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_DATABASE", sqlite_url)
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / "data"))
    schema.upgrade(sqlite_url)
    return sqlite_url


@pytest.fixture
def said(url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `lockgate kill …` and gives what it printed."""

    def run(*words: str) -> str:
        app(words, result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


def test_a_kill_is_set_listed_and_lifted(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_command, "_user", lambda: "bob")
    assert said("list") == "Nothing is stopped.\n"
    done = json.loads(said("--agent", "codex", "--for", "2h", "--reason", "Gone mad", "--by", "ana", "--json"))
    assert (done["scope"], done["target"], done["set_by"], done["reason"]) == ("agent", "codex", "ana", "Gone mad")
    assert said("--model", "gpt-*").startswith("Stopped: model gpt-*. `lockgate kill lift ")
    listed = said("list")
    assert [word in listed for word in ("agent codex", "ana", "Gone mad", "model gpt-*", "bob")] == [True] * 5
    assert said("lift", done["id"][-8:]) == "Lifted: agent codex.\n"
    assert "agent codex" not in said("list")
    assert "lifted by bob" in said("list", "--past")
    [first, second] = json.loads(said("list", "--past", "--json"))
    assert [one["in_force"] for one in (first, second)] == [True, False]


async def test_a_session_is_stopped_by_its_marker(url: str, said: Any) -> None:
    row = SessionRow(id="01990000-aaaa", started_at=now(), marker="m-1")
    await logs.remember(url, [exchange_row(), row])
    done = json.loads(await asyncio.to_thread(said, "--session", "m-1", "--json"))
    assert (done["target"], done["names"]) == ("01990000-aaaa", ["01990000-aaaa", "m-1"])
    with pytest.raises(Error, match="no session is called 'm-2'"):
        await asyncio.to_thread(said, "--session", "m-2")


@pytest.mark.parametrize("words", [(), ("--agent", "x", "--all"), ("--agent", ""), ("--host", "a", "--model", "b")])
def test_one_thing_is_named(said: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(Error, match="name one thing to stop"):
        said(*words)


def test_a_length_of_time_is_one(said: Any) -> None:
    for text_ in ("0s", "soon", "-1h", "9" * 30 + "w"):
        with pytest.raises(Error, match=r"is no length of time|is no time to stop something for"):
            said("--all", f"--for={text_}")
    assert said("list") == "Nothing is stopped.\n"


def test_everything_is_stopped_also_without_a_database(
    said: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCKGATE_DATABASE", f"sqlite:///{tmp_path / 'none.db'}")
    stop = tmp_path / "data" / "stop"
    with pytest.raises(StorageError):
        said("--agent", "codex")
    assert f"Stopped: everything, by the stop file {stop}" in said("--all", "--reason", "Somebody\nis in")
    assert stop.read_text() == "Somebody is in\n"
    with pytest.raises(StorageError):
        said("list")
    assert "Somebody is in" in capsys.readouterr().out
    assert said("lift", "file") == f"The stop file {stop} is removed.\n"
    assert not stop.exists()
    with pytest.raises(Error, match="cannot be removed: No such file"):
        said("lift", "file")


def test_the_stop_file_is_listed(said: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stop").write_text("A drill")
    assert "A drill" in said("list")
    assert [one["id"] for one in json.loads(said("list", "--json"))] == ["file"]


def configured(folder: Path, settings: dict[str, Any]) -> Path:
    folder.mkdir()
    file = folder / "lockgate.yaml"
    file.write_text(json.dumps({**settings, "listen": "127.0.0.1:0", "home": str(folder / "data")}))
    return file


@asynccontextmanager
async def serving(folder: Path, settings: dict[str, Any]) -> AsyncIterator[int]:
    """A proxy's process with a home of its own; gives its port."""
    file = configured(folder, settings)
    process = await asyncio.create_subprocess_exec(
        LOCKGATE,
        "serve",
        "--config",
        str(file),
        env=environment(folder, PYTHONUNBUFFERED="1"),
        stdout=PIPE,
        stderr=STDOUT,
        cwd=folder,
    )
    assert process.stdout
    told = b""
    try:
        while b"listening at" not in told:
            line = await soon(process.stdout.readline())
            assert line, told
            told += line
        drain = asyncio.ensure_future(process.stdout.read())
        yield int(told.rpartition(b":")[2].strip(b". \n*"))
        process.terminate()
        await soon(drain)
    finally:
        if process.returncode is None:
            process.terminate()
        await soon(process.wait())


async def lockgate(folder: Path, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        LOCKGATE, *words, env=environment(folder), stdout=PIPE, stderr=STDOUT, cwd=folder
    )
    told, _ = await soon(process.communicate())
    assert process.returncode == 0, told
    return told.decode()


@pytest.mark.postgres
async def test_two_processes_on_one_database_stop_and_go_on(postgres_url: str, tls: Tls, tmp_path: Path) -> None:
    schema.upgrade(postgres_url)
    tls.confdir.chmod(0o700)
    for each in tls.confdir.iterdir():
        each.chmod(0o600)
    async with running_provider(tls) as provider, AsyncExitStack() as opened:
        upstream = {"upstream": f"https://127.0.0.1:{provider.port}", "upstream_ca": str(tls.provider_ca)}
        settings = {
            "database": postgres_url, "ca": str(tls.confdir), "rules": [],
            "hosts": {"api.anthropic.com": {"format": "anthropic", **upstream}},
        }  # fmt: skip
        async with serving(tmp_path / "one", settings) as one, serving(tmp_path / "two", settings) as two:
            clients = [await connected(port, tls, opened) for port in (one, two)]
            replies = [await client.send(ASK, path=PATH) for client in clients]
            served = [await provider.next() for _ in clients]
            for each in served:
                await each.start()
                await each.send(START)
            for reply in replies:
                await reply.until(START)
            done = json.loads(
                await lockgate(tmp_path / "one", "kill", "--host", "*.anthropic.com", "--reason", "A drill", "--json")
            )
            for reply, each in zip(replies, served, strict=True):
                assert not (await reply.over()).complete
                await soon(each.gone.wait())
            for port in (one, two):
                refused = await (await (await connected(port, tls, opened)).send(ASK, path=PATH)).over()
                assert refused.status == 400
                assert b"A drill" in refused.body
            await lockgate(tmp_path / "two", "kill", "lift", done["id"])
            for port in (one, two):
                while not await passes(await connected(port, tls, opened), provider):
                    pass  # until this proxy has heard of it


async def passes(client: H1Client, provider: Provider) -> bool:
    reply = await client.send(ASK, path=PATH)
    waiting = asyncio.ensure_future(provider.next())
    over = asyncio.ensure_future(reply.over())
    await soon(asyncio.wait((waiting, over), return_when=asyncio.FIRST_COMPLETED))
    if not waiting.done():
        waiting.cancel()
        return False
    await waiting.result().reply(stream(text(0, "on")))
    return (await over).complete


async def connected(port: int, tls: Tls, opened: AsyncExitStack) -> H1Client:
    host = "api.anthropic.com"
    client = H1Client(*await tunnel(port, host, 443, tls.for_client("h1")), host)
    opened.callback(client.close)
    return client
