"""The authority of our own, in a folder that mitmproxy uses as it is (its `confdir`). The key never leaves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, assert_never

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from lockgate import files
from lockgate.certs.certificate import new_authority
from lockgate.certs.names import general_name, permits, permitted_hosts
from lockgate.errors import ConfigError

# The names under which mitmproxy looks for them.
KEY_FILE = "mitmproxy-ca.pem"
CERTIFICATE_FILE = "mitmproxy-ca-cert.pem"
DH_FILE = "mitmproxy-dhparam.pem"

_REMEDY = "run 'lockgate cert rotate' and trust the new certificate where the old one was installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority on disk, read and checked; its key stays in the folder."""

    folder: Path
    certificate: x509.Certificate

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses it may sign; ("*",) for an authority without limits, which a user brought."""
        return permitted_hosts(self.certificate)

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def certificate_path(self) -> Path:
        """The certificate as PEM, without the key: the file that clients are pointed to."""
        return self.folder / CERTIFICATE_FILE

    def permits(self, host: str) -> bool:
        return permits(self.certificate, general_name(host))


def open_authority(folder: Path, hosts: Iterable[str]) -> Authority:
    """Gives the authority kept in a folder, and makes it for these hosts on first use.

    Raises ConfigError when others may read it, when it is no authority, when it is not valid today, or when it may not
    sign one of the hosts.
    """
    hosts = tuple(hosts)
    _prepare(folder)
    key_file = folder / KEY_FILE
    if not _exists(key_file):
        files.create(key_file, new_authority(hosts))
    _check_private(key_file, 0o600)
    authority = _load(folder)
    _check_validity(authority)
    for host in hosts:
        if not authority.permits(host):
            raise ConfigError(f"host {host!r} is outside what the authority in {folder} may sign; {_REMEDY}")
    return authority


def rotate(folder: Path, hosts: Iterable[str]) -> Authority:
    """Makes a new authority for these hosts and keeps the old one, key and certificate, under a dated name.

    It works on whatever stands in the way of `open_authority`: an expired, broken or exposed authority. Proxies that
    run keep the key that they began with.
    """
    _prepare(folder)
    key_file = folder / KEY_FILE
    if _exists(key_file):
        _keep_aside(key_file)
    files.replace(key_file, new_authority(hosts))
    return _load(folder)


def export(authority: Authority, format: Literal["pem", "der", "p12"]) -> bytes:
    """Encodes the certificate, never the key. The PKCS #12 form has no password, and Java takes it as a trust store."""
    match format:
        case "pem":
            return authority.certificate.public_bytes(serialization.Encoding.PEM)
        case "der":
            return authority.certificate.public_bytes(serialization.Encoding.DER)
        case "p12":
            return trust_store([authority.certificate])
        case _:
            assert_never(format)


def trust_store(certificates: Iterable[x509.Certificate]) -> bytes:
    """Encodes certificates as a PKCS #12 trust store without a password, in the form that Java asks for."""
    entries = [pkcs12.PKCS12Certificate(certificate, None) for certificate in certificates]
    return pkcs12.serialize_java_truststore(entries, serialization.NoEncryption())


def _prepare(folder: Path) -> None:
    if not _exists(folder):
        with files.writing(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: move it away, or configure another folder for the authority")
    _check_private(folder, 0o700)


def _exists(path: Path) -> bool:
    with files.writing(path):
        try:
            path.stat()
        except FileNotFoundError:
            return False
    return True


def _check_private(path: Path, mode: int) -> None:
    files.check_private(path, mode, who="who reads the key can pose as a model host", remedy="'lockgate cert rotate'")


def _load(folder: Path) -> Authority:
    key_file = folder / KEY_FILE
    raw = _read(key_file)
    certificates = _parse(key_file, raw)
    # All of them: an authority that a user brought may come with those above it.
    pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
    files.replace(folder / CERTIFICATE_FILE, pem, mode=0o644)
    if not _exists(folder / DH_FILE):
        files.create(folder / DH_FILE, _dh_parameters())
    return Authority(folder=folder, certificate=certificates[0])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; see that it is a file that you may read") from error


def _parse(path: Path, raw: bytes) -> list[x509.Certificate]:
    try:
        key = serialization.load_pem_private_key(raw, None)
        certificates = x509.load_pem_x509_certificates(raw)
        constraints = certificates[0].extensions.get_extension_for_class(x509.BasicConstraints).value
        fits = constraints.ca and key.public_key() == certificates[0].public_key()
    except TypeError as error:  # what the library raises for a key that asks for a passphrase
        raise ConfigError(f"the key in {path} is locked with a passphrase: store it without, or {_REMEDY}") from error
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        raise ConfigError(f"{path} does not hold the key and the certificate of an authority: {_REMEDY}") from error
    if not fits:
        raise ConfigError(f"{path} does not hold an authority and its own key: {_REMEDY}")
    return certificates


def _check_validity(authority: Authority) -> None:
    now = datetime.now(UTC)
    if now > authority.not_after:
        raise ConfigError(f"the authority in {authority.folder} expired on {authority.not_after:%Y-%m-%d}: {_REMEDY}")
    if now < authority.certificate.not_valid_before_utc:
        raise ConfigError(
            f"the authority in {authority.folder} is not valid before "
            f"{authority.certificate.not_valid_before_utc:%Y-%m-%d}: set this machine's clock, or {_REMEDY}"
        )


def _keep_aside(key_file: Path) -> None:
    with files.writing(key_file):
        key_file.chmod(0o600)
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        key_file.with_name(f"{key_file.stem}-until-{stamp}.pem").hardlink_to(key_file)


def _dh_parameters() -> bytes:
    from mitmproxy.certs import DEFAULT_DHPARAM  # late: it takes 0.2 s to import, and is needed once

    return DEFAULT_DHPARAM
