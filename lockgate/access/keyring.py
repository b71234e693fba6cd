"""The keys that tokens are hashed with and provider keys are encrypted with, derived from secrets of the operator's.

The secrets stand one to a line, 32 bytes in base64; the first is in use, the others are for what was kept before it.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lockgate import files
from lockgate.config import Config, secret_from_environment
from lockgate.errors import ConfigError

KEY_FILE = "access.key"
SECRET_BYTES = 32
NONCE_BYTES = 12
NAME_BYTES = 4
_FORM = f"{SECRET_BYTES} bytes in base64 on each line; make one with `openssl rand -base64 {SECRET_BYTES}`"


class CannotOpen(ConfigError):
    """What was encrypted is not what was kept, or was kept with a secret that is not there."""


@dataclass(frozen=True, slots=True)
class _Secret:
    """One secret: `name` says which, and nothing about it."""

    name: bytes
    digests: bytes = field(repr=False)
    encrypts: AESGCM = field(repr=False)


class Keyring:
    """Digests of tokens, and provider keys at rest. Its secrets are in no text that it gives."""

    def __init__(self, given: Sequence[bytes]) -> None:
        self._secrets = [_derived(secret) for secret in given]

    def digest(self, token: str) -> bytes:
        """32 bytes that the token is kept as: HMAC-SHA-256, so that who reads the database cannot try tokens."""
        return self.digests(token)[0]

    def digests(self, token: str) -> Sequence[bytes]:
        """What the token may be kept as, by each secret; by the one in use first."""
        text = token.encode("utf-8", "surrogatepass")
        return [hmac.digest(secret.digests, text, "sha256") for secret in self._secrets]

    def encrypt(self, text: str, about: str) -> bytes:
        """AES-256-GCM: the secret's name, a nonce, the text. `about` is what it belongs to, and opens nothing else."""
        secret, nonce = self._secrets[0], os.urandom(NONCE_BYTES)
        return secret.name + nonce + secret.encrypts.encrypt(nonce, text.encode("utf-8"), about.encode("utf-8"))

    def decrypt(self, kept: bytes, about: str) -> str:
        """Raises CannotOpen."""
        nonce, rest = kept[NAME_BYTES:][:NONCE_BYTES], kept[NAME_BYTES + NONCE_BYTES :]
        secret = next((each for each in self._secrets if each.name == kept[:NAME_BYTES]), None)
        if secret is None:
            raise CannotOpen("a provider key was encrypted with a secret that is not there: add it as a further line")
        try:
            return secret.encrypts.decrypt(nonce, rest, about.encode("utf-8")).decode("utf-8")
        except InvalidTag as error:
            raise CannotOpen("a provider key in the database is not what was kept there: set it anew") from error

    def is_current(self, kept: bytes) -> bool:
        """Whether this was encrypted with the secret that is in use."""
        return kept[:NAME_BYTES] == self._secrets[0].name


def open_keyring(folder: Path, *, variable: str = "", file: Path | None = None) -> Keyring:
    """The keyring from an environment variable, a file, or else `access.key` in the folder, which is made on first use.

    Raises ConfigError where it is none, or where others may read the file.
    """
    if variable:
        return Keyring(_read(secret_from_environment(variable), f"the environment variable {variable}"))
    path = (file or folder / KEY_FILE).expanduser()
    if file is None:
        _make(path)
    files.check_private(
        path,
        0o600,
        who="who reads it can read provider keys",
        remedy="put a new secret before it, then `key reencrypt`",
    )
    with files.reading(path):
        return Keyring(_read(path.read_text("ascii", "replace"), str(path)))


def keyring_of(config: Config) -> Keyring:
    """The keyring that a configuration names. Raises ConfigError."""
    return open_keyring(config.home, variable=config.access.key_env, file=config.access.key_file)


def _make(path: Path) -> None:
    with files.writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        missing = not path.exists()
    if missing:
        files.create(path, base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n")


def _read(text: str, origin: str) -> list[bytes]:
    found: list[bytes] = []
    for line in filter(None, map(str.strip, text.split())):
        try:
            found.append(base64.b64decode(line, validate=True))
        except ValueError:
            found.append(b"")
    if not found or any(len(secret) != SECRET_BYTES for secret in found):
        raise ConfigError(f"{origin} holds no secret for access: {_FORM}")
    return found


def _derived(secret: bytes) -> _Secret:
    def key(purpose: str) -> bytes:
        return HKDFExpand(algorithm=SHA256(), length=32, info=f"lockgate {purpose}".encode()).derive(secret)

    return _Secret(key("name")[:NAME_BYTES], key("tokens"), AESGCM(key("provider keys")))
