"""`lockgate log verify` says what it found and what it could not check, and ends with 1 where it found something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.app import build
from lockgate.certs.signing import open_signing_key
from lockgate.cli.log import app
from lockgate.config import load, load_config
from lockgate.errors import StorageError
from lockgate.storage.address import parse
from lockgate.storage.log import spill_folder
from lockgate.storage.schema import upgrade
from lockgate.storage.writer import Writer
from tests.cli.commands import lockgate, use
from tests.storage.records import whole_exchange
from tests.storage.talks import execute


@pytest.fixture(autouse=True)
def database(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    use(monkeypatch, sqlite_url, tmp_path)
    return sqlite_url


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and gives its exit code, and what it printed."""

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(["verify", *words], result_action="return_value", exit_on_error=False)
        return int(str(ended.value.code)), capsys.readouterr().out

    return run


def record(url: str, *, sign: bool = False) -> None:
    upgrade(url)
    with Writer(parse(url), signer=open_signing_key(load_config().home) if sign else None) as writer:
        writer.write(whole_exchange())


def test_a_log_that_nobody_touched(database: str, said: Any) -> None:
    record(database)
    code, text = said()
    assert code == 0
    assert "9 rows and 0 pieces of conversations are as they were written: 1 seal in 1 chain\n" in text
    (head,) = (line.removeprefix("head ") for line in text.splitlines() if line.startswith("head "))
    assert "- 1 of 1 seals, in chain 1, have no signature of a known key" in text
    assert said("--head", head)[0] == 0
    assert said("--head", head[:-1] + ("0" if head[-1] != "0" else "1"))[0] == 1
    assert said("--signed")[0] == 1


def test_a_log_that_somebody_touched(database: str, said: Any) -> None:
    record(database)
    execute(database, "UPDATE decision SET action = 'forwarded'")
    code, text = said()
    assert code == 1
    assert text.startswith("decision ")
    assert "was changed: it is not what seal 1 of chain 1 covers\n" in text
    code, text = said("--json")
    report = json.loads(text)
    assert (code, report["found"], report["rows"], report["findings"][0]["kind"]) == (1, 1, 8, "changed")
    assert said("--since", "2100-01-01")[0] == 0


def test_many_findings_are_cut(database: str, said: Any) -> None:
    for _ in range(6):
        record(database)
    execute(database, "UPDATE comm SET source = 'nobody'")
    code, text = said()
    assert (code, "\n… and 4 more\n" in text, text.count("was changed")) == (1, True, 20)


def test_keys(database: str, said: Any, tmp_path: Path) -> None:
    record(database, sign=True)
    assert said("--signed")[0] == 0
    public = tmp_path / "home" / "seal.pub"
    elsewhere = public.rename(tmp_path / "kept.pub")
    assert said("--signed")[0] == 1
    assert said("--signed", "--public-key", str(elsewhere))[0] == 0


def test_a_proxy_that_is_to_sign_makes_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for sign in ("false", "true"):
        monkeypatch.setenv("LOCKGATE_SEAL__SIGN", sign)
        build(load())
        assert (tmp_path / "home" / "seal.key").exists() == (sign == "true")


def test_what_waits_in_the_spill_is_said(database: str, said: Any, tmp_path: Path) -> None:
    record(database)
    folder = spill_folder(tmp_path / "home" / "spill", parse(database))
    folder.mkdir(parents=True)
    (folder / "x.000001.spill").write_bytes(bytes(1234))
    assert f"- 1,234 bytes of records wait in {folder}, and are not in the database yet\n" in said()[1]


def test_no_log_is_a_sentence() -> None:
    with pytest.raises(StorageError, match="there is no log yet"):
        app(["verify"], result_action="return_value", exit_on_error=False)


def test_as_a_user_runs_it(database: str, tmp_path: Path) -> None:
    record(database)
    assert lockgate("log", "verify", folder=tmp_path, env={"LOCKGATE_DATABASE": database}).stderr == ""
    execute(database, "DELETE FROM decision")
    ran = lockgate("log", "verify", folder=tmp_path, env={"LOCKGATE_DATABASE": database}, code=1)
    assert "was removed: seal 1 of chain 1 covers it" in ran.stdout
