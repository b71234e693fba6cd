"""`lockgate cert` shows and hands out the certificate, never the key."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from lockgate.certs.ca import open_authority
from lockgate.cli.cert import app
from lockgate.config import load_config
from lockgate.errors import ConfigError
from tests.cli import commands


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


run = partial(commands.run, app)


def test_show_as_json_holds_the_facts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "--json")
    facts = json.loads(capsys.readouterr().out)
    authority = open_authority(home / "ca", load_config().hosts)

    assert facts == {
        "subject": authority.certificate.subject.rfc4514_string(),
        "hosts": list(load_config().hosts),
        "not_before": authority.certificate.not_valid_before_utc.isoformat(),
        "not_after": authority.not_after.isoformat(),
        "fingerprint": authority.fingerprint,
        "certificate": str(home / "ca" / "mitmproxy-ca-cert.pem"),
    }


def test_show_for_people_holds_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "--json")
    facts = json.loads(capsys.readouterr().out)
    run("show")
    shown = capsys.readouterr().out

    assert len(shown.splitlines()) == len(facts)
    assert all((value if isinstance(value, str) else ", ".join(value)) in shown for value in facts.values())


def test_path_names_a_certificate_without_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    run("path")
    text = Path(capsys.readouterr().out.strip()).read_text()

    assert text.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in text


def test_a_configuration_file_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.yaml").write_text("ca: elsewhere\nhosts:\n  llm.example.com: {format: openai}\n")

    run("show", "--json", "--config", "own.yaml")
    facts = json.loads(capsys.readouterr().out)

    assert "llm.example.com" in facts["hosts"]
    assert facts["certificate"] == str(tmp_path / "elsewhere" / "mitmproxy-ca-cert.pem")


def test_export_writes_pem_to_standard_output(home: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    run("export")
    given = capsysbinary.readouterr().out

    assert given == (home / "ca" / "mitmproxy-ca-cert.pem").read_bytes()


def test_export_pipes_der(home: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    run("export", "--format", "der")
    given = x509.load_der_x509_certificate(capsysbinary.readouterr().out)

    assert given == open_authority(home / "ca", []).certificate


def test_export_writes_a_file(home: Path, tmp_path: Path) -> None:
    run("export", "--format", "p12", "--output", "out.p12")
    key, _, (given,) = pkcs12.load_key_and_certificates((tmp_path / "out.p12").read_bytes(), None)

    assert key is None
    assert given == open_authority(home / "ca", []).certificate


@pytest.mark.parametrize("format", ["der", "p12"])
def test_binary_is_kept_off_the_terminal(format: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    with pytest.raises(ConfigError, match=rf"{format} is binary .* name a file with --output, or pipe it"):
        run("export", "--format", format)


def test_an_output_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot write missing/out.pem: no such file or directory"):
        run("export", "--output", "missing/out.pem")


def test_rotate_follows_the_configuration(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "--json")
    old = json.loads(capsys.readouterr().out)
    (tmp_path / "lockgate.yaml").write_text("hosts:\n  llm.example.com: {format: openai}\n")
    with pytest.raises(ConfigError, match=r"llm\.example\.com.*lockgate cert rotate"):
        run("show")

    run("rotate")
    said = capsys.readouterr().out
    run("show", "--json")
    new = json.loads(capsys.readouterr().out)

    assert new["fingerprint"] in said
    assert new["certificate"] in said
    assert new["fingerprint"] != old["fingerprint"]
    assert [*old["hosts"], "llm.example.com"] == new["hosts"]
