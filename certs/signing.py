"""The key that the log's seals are signed with: Ed25519, made on first use, in a folder of the operator's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from lockgate import files
from lockgate.config import Config
from lockgate.errors import ConfigError

KEY_FILE = "seal.key"
PUBLIC_KEY_FILE = "seal.pub"
_REMEDY = f"name the {PUBLIC_KEY_FILE} of whoever signed"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Implements `lockgate.storage.seals.Signer`."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


def signer_of(config: Config) -> SigningKey | None:
    """What signs this configuration's seals; None where nothing does. Raises ConfigError."""
    return open_signing_key(config.home) if config.seal.sign else None


def open_signing_key(folder: Path) -> SigningKey:
    """The key kept in a folder, with its public half beside it as PEM; both are made on first use.

    Raises ConfigError when others may read the key, or when it is none.
    """
    file = folder / KEY_FILE
    with files.writing(file):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        missing = not file.exists()
    if missing:
        made = Ed25519PrivateKey.generate()
        files.create(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    who, remedy = "who reads the key can sign what was never logged", f"move {file} away: a new one is made"
    files.check_private(file, 0o600, who=who, remedy=remedy)
    key = _load(file)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files.replace(folder / PUBLIC_KEY_FILE, public, mode=0o644)
    return SigningKey(key)


def read_public_key(file: Path) -> bytes:
    """The 32 bytes of the public key in a PEM file. Raises ConfigError."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}; {_REMEDY}") from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{file} holds no public key of Ed25519 as PEM: {_REMEDY}")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _load(file: Path) -> Ed25519PrivateKey:
    try:
        with files.reading(file):
            key = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{file} holds no Ed25519 key without a passphrase: move it away, and a new one is made")
    return key
