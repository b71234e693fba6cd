"""Where values of the configuration come from, and what is left of a section that several sources give."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.config import Config, load
from tests.cli.commands import lockgate

FILE = """
admin: {listen: "127.0.0.1:1"}
hosts: {llm.example.com: {format: openai}}
limits: {reply_bytes: 2000000}
"""
ENVIRONMENT = {"LOCKGATE_LIMITS__REQUEST_BYTES": "1000000"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "lockgate.yaml"
    file.write_text(FILE)
    return file


def test_a_section_has_the_keys_of_all_its_sources(file: Path) -> None:
    limits = load(file).config.limits
    assert (limits.request_bytes, limits.reply_bytes) == (1_000_000, 2_000_000)


def test_every_key_has_its_own_origin(file: Path) -> None:
    loaded = load(file, {"listen": "127.0.0.1:0"})
    assert (loaded.origin("listen"), loaded.origin("admin.listen")) == ("flag", str(file))
    assert (loaded.origin("limits.request_bytes"), loaded.origin("limits.reply_bytes")) == ("environment", str(file))
    assert (loaded.origin("hosts.llm.example.com"), loaded.origin("hosts.chatgpt.com")) == (str(file), "default")
    assert {loaded.origin(name) for name in ("egress", "admin.idle_minutes", "log_full")} == {"default"}


def test_the_command_shows_them(file: Path) -> None:
    lines = lockgate("config", "show", folder=file.parent, env=ENVIRONMENT).stdout.splitlines()
    assert f"  listen: 127.0.0.1:1  # {file}" in lines
    assert "  request_bytes: 1000000  # environment" in lines
    assert "  idle_minutes: 30.0  # default" in lines
    assert f"  llm.example.com:  # {file}" in lines
    assert "    format: openai" in lines
    assert {line.rstrip(":").partition(":")[0] for line in lines if line[0] != " "} == set(Config.model_fields)
