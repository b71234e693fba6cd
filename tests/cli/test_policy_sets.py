"""Versions of the policy set: kept when they come into force, compared, and put back."""

from __future__ import annotations

import json
import stat
from functools import partial
from pathlib import Path

import pytest

from lockgate.app import build
from lockgate.cli.policy import app
from lockgate.config import load
from lockgate.errors import ConfigError
from lockgate.policies.registry import load_rules
from lockgate.policies.versions import Versions
from tests.cli import commands

FIRST = """# mine
listen: 127.0.0.1:0  # any port
rules:
  - {name: a, use: noop}
"""
SECOND = FIRST + "  - name: b\n    use: tools\n    with: {default: deny}\n"
MINE = "from lockgate import Policy\n\nclass Mine(Policy):\n    pass\n"


run = partial(commands.run, app)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "lockgate.yaml"
    file.write_text(FIRST)
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCKGATE_CONFIG", str(file))
    return file


def in_force(file: Path, text: str) -> str:
    """The version that these rules have once they were in force."""
    file.write_text(text)
    config = load(file).config
    policy_set = load_rules(config.rules)
    Versions(config.home).keep(policy_set, config.rules)
    return policy_set.version


def out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    run(*words)
    return capsys.readouterr().out


def test_what_comes_into_force_is_kept_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no policy set was in force yet" in out(capsys, "versions")
    one, two = in_force(file, FIRST), in_force(file, SECOND)
    assert in_force(file, SECOND) == two
    in_force(file, FIRST)
    listed = json.loads(out(capsys, "versions", "--json"))
    assert [(each["version"], each["rules"]) for each in listed] == [(one, 1), (two, 2), (one, 1)]
    assert out(capsys, "versions").splitlines()[-1].startswith(f"* {one}")
    for kept in (file.parent / "home" / "policy-sets").iterdir():
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_starting_the_proxy_keeps_its_rules(file: Path) -> None:
    file.write_text(SECOND)
    service = build(load(file))
    [change] = Versions(file.parent / "home").changes()
    assert change.version == service.registry.current.version
    file.write_text(FIRST)
    service.reload()
    assert [each.rules for each in Versions(file.parent / "home").changes()] == [2, 1]


def test_diff(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = in_force(file, FIRST), in_force(file, SECOND)
    said = out(capsys, "diff", one[:8], two)
    assert f"--- {one}" in said
    assert "+- name: b" in said
    assert out(capsys, "diff", two) == "nothing differs\n"
    with pytest.raises(ConfigError, match="no version of the policy set begins with 'zzz'"):
        run("diff", "zzz")


def test_rollback_puts_the_rules_back_and_leaves_the_rest(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = in_force(file, FIRST), in_force(file, SECOND)
    assert f"those of version {one} again" in out(capsys, "rollback", one)
    assert load_rules(load(file).config.rules).version == one
    assert file.read_text().startswith("# mine\nlisten: 127.0.0.1:0  # any port\n")
    run("rollback", two)
    assert load_rules(load(file).config.rules).version == two


def test_rules_that_were_never_in_force_are_not_lost(file: Path) -> None:
    one = in_force(file, FIRST)
    file.write_text(SECOND)
    run("rollback", one)
    assert [each.rules for each in Versions(file.parent / "home").changes()] == [1, 2]


def test_the_rules_that_ship_can_be_put_back(file: Path) -> None:
    shipped = in_force(file, "listen: 127.0.0.1:0\n")
    in_force(file, SECOND)
    run("rollback", shipped)
    assert load(file).config.rules is None


def test_code_that_changed_since_is_named(file: Path) -> None:
    mine = file.parent / "mine.py"
    mine.write_text(MINE)
    one = in_force(file, "rules:\n  - {name: m, use: './mine.py:Mine'}\n")
    in_force(file, FIRST)
    mine.write_text(MINE + "    x = 1\n")
    with pytest.raises(ConfigError, match=r"mine\.py is not what it was in version"):
        run("rollback", one)
    assert file.read_text() == FIRST


def test_without_a_file_there_is_nothing_to_roll_back_into(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = in_force(file, FIRST)
    monkeypatch.delenv("LOCKGATE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no configuration file"):
        run("rollback", one)


def test_a_folder_that_cannot_be_written_keeps_nothing_from_starting(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(FIRST)
    home = file.parent / "home"
    home.mkdir()
    (home / "policy-sets").write_text("a file")
    build(load(file))
    assert "cannot be kept for a rollback" in caplog.text
