"""`lockgate project`, `token` and `key`, as a user runs them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lockgate.access.token import is_token
from lockgate.cli.key import app as key
from lockgate.cli.project import app as project
from lockgate.cli.token import app as token
from lockgate.errors import ConfigError, Error
from lockgate.storage import schema
from tests.cli.commands import Ran, run, use

SECRET = "sk-ant-api03-" + "k" * 30


@pytest.fixture(autouse=True)
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    use(monkeypatch, database_url, tmp_path)
    if database_url.startswith("postgresql"):
        schema.upgrade(database_url)
    return database_url


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    return Ran(capsys)


def test_a_project_is_made_listed_shown_and_changed(ran: Ran):
    assert "No project yet" in ran.text(project, "list")
    assert "lockgate token create 'my shop'" in ran.text(project, "create", "my shop", "--notes", "n\x1b[31m")
    assert "my shop" in ran.text(project, "list")
    shown = ran.text(project, "show", "my shop")
    assert "\\u001b[31m" in shown
    changed = ran.json(project, "update", "my shop", "--no-active", "--name", "shop", "--model", "claude-*")
    assert (changed["name"], changed["active"], changed["grant"]) == (
        "shop",
        False,
        {"allow": {"models": ["claude-*"]}},
    )
    assert ran.json(project, "list") == [changed]


def test_a_grant_comes_from_options_over_a_file_over_what_was_there(ran: Ran, tmp_path: Path):
    (tmp_path / "grant.yaml").write_text("allow: {models: [gpt-*], methods: [post]}\nlimits: {concurrent: 2}\n")
    words = (
        "--grant",
        "grant.yaml",
        "--model",
        "claude-*",
        "--model",
        "o3",
        "--budget",
        "$2.50/day",
        "--budget",
        "9/life",
    )
    made = ran.json(project, "create", "shop", *words)
    assert made["grant"] == {
        "allow": {"models": ["claude-*", "o3"], "methods": ["POST"]},
        "limits": {"concurrent": 2},
        "budgets": [{"per": "day", "usd": 2.5}, {"per": "life", "tokens": 9}],
    }
    after = ran.json(project, "update", "shop", "--requests-per-minute", "5")
    assert after["grant"] == made["grant"] | {"limits": {"concurrent": 2, "requests_per_minute": 5}}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--budget", "5"), "'day', 'month' or 'life'"),
        (("--budget", "much/day"), "is no budget"),
        (("--method", "FETCH"), "'FETCH' is no HTTP method"),
        (("--endpoint", "v1/messages"), "is no endpoint"),
        (("--address", "10.0.0.300"), "10.0.0.300"),
        (("--concurrent", "0"), "concurrent"),
    ],
)
def test_a_grant_that_does_not_fit_is_refused(words: tuple[str, ...], sentence: str):
    with pytest.raises((ConfigError, Error), match=sentence):
        run(project, "create", "shop", *words)
    with pytest.raises(Error, match="no project is called"):
        run(project, "show", "shop")


def test_a_policy_set_is_given_by_a_name_that_there_is(ran: Ran, tmp_path: Path):
    (tmp_path / "night.yaml").write_text("rules: []")
    (tmp_path / "lockgate.yaml").write_text("policy_sets: {night: night.yaml}")
    ran.text(project, "create", "shop", "--policy", "strict", "--origin", "https://app.example.com")
    assert ran.json(project, "show", "shop")["grant"] == {
        "allow": {"origins": ["https://app.example.com"]},
        "policy": "strict",
    }
    ran.text(token, "create", "shop", "--policy", "night")
    with pytest.raises(ConfigError, match="unknown policy set 'nigth'; there are: coding-agent"):
        run(token, "create", "shop", "--policy", "nigth")
    with pytest.raises(ConfigError, match="policy"):
        run(token, "create", "shop", "--policy", "./night.yaml")
    assert "policy" not in ran.json(project, "update", "shop", "--policy", "")["grant"]


def test_a_token_is_told_once_listed_refreshed_and_revoked(ran: Ran):
    run(project, "create", "shop")
    first = ran.json(
        token, "create", "shop", "--for", "2h", "--name", "ci", "--label", "a", "--label", "b", "--quota", "5"
    )
    assert is_token(first["token"])
    assert (first["labels"], first["request_quota"]) == (["a", "b"], 5)
    listed = ran.text(token, "list")
    assert first["token"] not in listed
    assert first["hint"] in listed
    assert "0 of 5" in listed
    again = ran.json(token, "refresh", first["id"][-8:], "--for", "1d")
    assert again["id"] == first["id"]
    assert is_token(again["token"])
    assert again["token"] != first["token"]
    assert ran.json(token, "update", again["id"], "--quota", "7")["request_quota"] == 7
    run(token, "revoke", first["id"])
    assert "No token that can be used" in ran.text(token, "list")
    assert [one["standing"] for one in ran.json(token, "list", "--all")] == ["revoked"]


def test_the_token_alone_is_on_standard_output(ran: Ran):
    run(project, "create", "shop")
    assert is_token(ran.text(token, "create", "shop").strip())


def test_many_are_revoked_and_cleaned(ran: Ran):
    for name in ("one", "two"):
        run(project, "create", name)
        run(token, "create", name)
    assert ran.text(token, "revoke", "--project", "one") == "1 token is revoked.\n"
    assert ran.text(token, "revoke", "--older-than", "0s") == "1 token is revoked.\n"
    assert ran.text(token, "clean") == "0 tokens removed.\n"
    assert ran.text(token, "clean", "--older-than", "0s") == "2 tokens removed.\n"
    with pytest.raises(Error, match="give the id of one token"):
        run(token, "revoke")


@pytest.mark.parametrize("span", ["59s", "366d", "soon", "-1h", "99999999999999w"])
def test_a_lifetime_that_does_not_fit(span: str):
    run(project, "create", "shop")
    with pytest.raises(Error, match=r"30m|365"):
        run(token, "create", "shop", f"--for={span}")


def test_a_key_is_read_from_standard_input_and_never_shown(ran: Ran, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    made = ran.json(key, "add", "anthropic")
    assert made["hint"] == "…" + SECRET[-4:]
    run(key, "add", "openai", "--env", "OPENAI_API_KEY")
    listed = ran.text(key, "list")
    assert "OPENAI_API_KEY" in listed
    assert SECRET not in listed
    assert "out of use" in ran.text(key, "disable", made["id"])
    assert "in use" in ran.text(key, "enable", made["id"])
    assert ran.text(key, "reencrypt") == "0 keys were encrypted anew.\n"
    assert "is removed" in ran.text(key, "remove", made["id"])


def test_a_key_stands_in_one_place(tmp_path: Path):
    with pytest.raises(Error, match="one of --env, --file and --command"):
        run(key, "add", "openai", "--env", "A", "--command", "pass openai")
