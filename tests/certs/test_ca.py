"""The authority is made once, kept to its owner, and checked whenever it is opened."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from mitmproxy.certs import CertStore

from lockgate.certs.ca import Authority, export, open_authority, rotate
from lockgate.errors import ConfigError

HOSTS = ("api.anthropic.com", "api.openai.com")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ca"


@pytest.fixture
def authority(folder: Path) -> Authority:
    return open_authority(folder, HOSTS)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_first_use_makes_what_mitmproxy_reads(authority: Authority, folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}

    assert names == {"mitmproxy-ca.pem", "mitmproxy-ca-cert.pem", "mitmproxy-dhparam.pem"}
    assert (_mode(folder), _mode(folder / "mitmproxy-ca.pem")) == (0o700, 0o600)
    assert b"PRIVATE KEY" not in authority.certificate_path.read_bytes()


def test_the_second_use_finds_it_again(authority: Authority, folder: Path) -> None:
    again = open_authority(folder, reversed(HOSTS))

    assert authority == again
    assert again.hosts == HOSTS


def test_it_signs_servers_and_nothing_else(authority: Authority) -> None:
    extensions = authority.certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage)

    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert list(purposes.value) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    assert extensions.get_extension_for_class(x509.NameConstraints).critical


def test_it_is_valid_since_two_days_for_two_years(authority: Authority) -> None:
    now, certificate = datetime.now(UTC), authority.certificate

    assert certificate.not_valid_before_utc < now - timedelta(days=1, hours=23)
    assert now + timedelta(days=720) < authority.not_after < now + timedelta(days=731)


def test_two_authorities_never_share_a_name(authority: Authority, tmp_path: Path) -> None:
    other = open_authority(tmp_path / "other", HOSTS)

    assert authority.certificate.subject != other.certificate.subject
    assert "Lockgate CA (" in authority.certificate.subject.rfc4514_string()


def test_processes_that_start_at_once_end_up_with_one_authority(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lockgate.certs.ca import open_authority\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(open_authority(Path(sys.argv[1]), sys.argv[2:]).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(folder), *HOSTS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    fingerprints = {process.communicate()[0].strip() for process in processes}

    assert fingerprints == {open_authority(folder, HOSTS).fingerprint}
    assert len(list(folder.iterdir())) == 3


def test_rotation_makes_a_new_key_and_keeps_the_old(authority: Authority, folder: Path) -> None:
    old = (folder / "mitmproxy-ca.pem").read_bytes()

    new = rotate(folder, ["llm.example.com"])

    (kept,) = folder.glob("mitmproxy-ca-until-*.pem")
    assert kept.read_bytes() == old
    assert _mode(kept) == _mode(folder / "mitmproxy-ca.pem") == 0o600
    assert new.certificate.public_key() != authority.certificate.public_key()
    assert new == open_authority(folder, ["llm.example.com"])
    assert new.hosts == ("llm.example.com",)
    assert new.certificate_path.read_bytes() == export(new, "pem")


def test_rotation_makes_the_first_authority_too(folder: Path) -> None:
    assert rotate(folder, HOSTS) == open_authority(folder, HOSTS)


def test_every_export_is_the_certificate_without_the_key(authority: Authority) -> None:
    key, certificate, others = pkcs12.load_key_and_certificates(export(authority, "p12"), None)

    assert authority.certificate == x509.load_pem_x509_certificate(export(authority, "pem"))
    assert authority.certificate == x509.load_der_x509_certificate(export(authority, "der"))
    assert (key, certificate, others) == (None, None, [authority.certificate])


def test_an_authority_that_the_user_brought_is_taken_without_limits(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True)
    CertStore.create_store(folder, "mitmproxy", 2048)

    authority = open_authority(folder, HOSTS)

    assert authority.hosts == ("*",)
    assert authority.permits("www.example.net")


def test_the_certificate_comes_back_where_it_was_lost(authority: Authority, folder: Path) -> None:
    authority.certificate_path.unlink()

    assert open_authority(folder, HOSTS).certificate_path.read_bytes() == export(authority, "pem")


# What stands in the way. Each sentence names the path, and what to do.


def _loose_key(folder: Path) -> None:
    (folder / "mitmproxy-ca.pem").chmod(0o640)


def _loose_folder(folder: Path) -> None:
    folder.chmod(0o755)


def _garbage(folder: Path) -> None:
    (folder / "mitmproxy-ca.pem").write_bytes(b"not a certificate")


def _key_alone(folder: Path) -> None:
    pem = (folder / "mitmproxy-ca.pem").read_bytes()
    (folder / "mitmproxy-ca.pem").write_bytes(pem[: pem.index(b"-----BEGIN CERT")])


def _leaf(folder: Path) -> None:
    entry = CertStore.from_store(folder, "mitmproxy", 2048).get_cert("api.anthropic.com", [])
    pem = (folder / "mitmproxy-ca.pem").read_bytes()
    (folder / "mitmproxy-ca.pem").write_bytes(pem[: pem.index(b"-----BEGIN CERT")] + entry.cert.to_pem())


def _key(encryption: serialization.KeySerializationEncryption) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _foreign_key(folder: Path) -> None:
    (folder / "mitmproxy-ca.pem").write_bytes(
        _key(serialization.NoEncryption()) + (folder / "mitmproxy-ca-cert.pem").read_bytes()
    )


def _locked_key(folder: Path) -> None:
    (folder / "mitmproxy-ca.pem").write_bytes(
        _key(serialization.BestAvailableEncryption(b"secret")) + (folder / "mitmproxy-ca-cert.pem").read_bytes()
    )


def _folder_in_its_place(folder: Path) -> None:
    (folder / "mitmproxy-ca.pem").unlink()
    (folder / "mitmproxy-ca.pem").mkdir(mode=0o600)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_loose_key, r"mitmproxy-ca\.pem is open to others \(mode 0640\).* run 'chmod 600 .*mitmproxy-ca\.pem'"),
        (_loose_folder, r"data/ca is open to others \(mode 0755\).* run 'chmod 700 .*data/ca'"),
        (_garbage, r"mitmproxy-ca\.pem does not hold the key and .* run 'lockgate cert rotate'"),
        (_key_alone, r"mitmproxy-ca\.pem does not hold the key and .* run 'lockgate cert rotate'"),
        (_leaf, r"mitmproxy-ca\.pem does not hold .* authority.* run 'lockgate cert rotate'"),
        (_foreign_key, r"mitmproxy-ca\.pem does not hold an authority and its own key: run 'lockgate cert rotate'"),
        (_locked_key, r"key in .*mitmproxy-ca\.pem is locked with a passphrase: store it without"),
        (_folder_in_its_place, r"cannot read .*mitmproxy-ca\.pem: Is a directory"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_spoilt_authority_is_refused(
    authority: Authority, folder: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(folder)

    with pytest.raises(ConfigError, match=sentence):
        open_authority(folder, HOSTS)


@pytest.mark.parametrize("spoil", [_loose_key, _garbage, _leaf], ids=lambda value: value.__name__.strip("_"))
def test_rotation_is_the_way_out(authority: Authority, folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)

    new = rotate(folder, HOSTS)

    assert new == open_authority(folder, HOSTS)
    assert {_mode(path) for path in folder.glob("mitmproxy-ca*.pem") if "cert" not in path.name} == {0o600}


def test_an_expired_authority_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.certs.certificate._VALIDITY", timedelta(days=1))

    with pytest.raises(
        ConfigError, match=r"data/ca expired on 2\d\d\d-\d\d-\d\d: run 'lockgate cert rotate' and trust"
    ):
        open_authority(folder, HOSTS)


def test_an_authority_of_the_future_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.certs.certificate._BACKDATED", timedelta(days=-1))

    with pytest.raises(ConfigError, match=r"is not valid before .*: set this machine's clock, or run"):
        open_authority(folder, HOSTS)


def test_a_host_beyond_the_constraints_says_what_to_do(authority: Authority, folder: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        open_authority(folder, [*HOSTS, "llm.example.com"])

    assert str(refused.value) == (
        f"host 'llm.example.com' is outside what the authority in {folder} may sign; run 'lockgate cert rotate' "
        "and trust the new certificate where the old one was installed"
    )


def test_an_authority_of_another_user_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)

    with pytest.raises(ConfigError, match=rf"belongs to user {owner} and not to user {owner + 1}.*chown"):
        open_authority(authority.folder, HOSTS)


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"cannot write .*file/ca: not a directory; make .*/file a folder"):
        open_authority(tmp_path / "file" / "ca", HOSTS)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"/file is not a folder: move it away"):
        open_authority(tmp_path / "file", HOSTS)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder that its owner may not write to; the test runs as that owner and never as root, who may anything."""
    user = os.geteuid() or 65534
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, user, -1)
        folder.chmod(0o500)
        caller = os.geteuid()
        os.seteuid(user)
        try:
            yield folder
        finally:
            os.seteuid(caller)
            folder.chmod(0o700)


def test_a_folder_that_cannot_be_made_is_named(unprivileged: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*/ca: permission denied; make .* a folder that you own"):
        open_authority(unprivileged / "ca", HOSTS)


def test_a_folder_that_cannot_be_written_to_is_named(unprivileged: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*/mitmproxy-ca\.pem: permission denied"):
        open_authority(unprivileged, HOSTS)
