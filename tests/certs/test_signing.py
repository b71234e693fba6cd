"""The key that seals are signed with: one per folder, its owner's alone, its public half beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lockgate.certs.signing import KEY_FILE, PUBLIC_KEY_FILE, open_signing_key, read_public_key
from lockgate.errors import ConfigError
from lockgate.storage.chains import is_signed


def test_it_is_made_once_and_signs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = open_signing_key(home), open_signing_key(home)
    assert first.public_key == second.public_key == read_public_key(home / PUBLIC_KEY_FILE)
    assert is_signed(first.public_key, b"data", second.sign(b"data"))
    assert not is_signed(first.public_key, b"date", second.sign(b"data"))
    assert not is_signed(open_signing_key(tmp_path / "other").public_key, b"data", first.sign(b"data"))


def test_the_key_is_the_owners_alone(tmp_path: Path) -> None:
    key = open_signing_key(tmp_path)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in (KEY_FILE, PUBLIC_KEY_FILE)]
    assert modes == [0o600, 0o644]
    assert "SigningKey()" in repr(key)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(ConfigError, match=r"open to others \(mode 0640\), and who reads the key can sign.*chmod 600"):
        open_signing_key(tmp_path)


def test_a_public_key_that_is_gone_or_changed_is_written_anew(tmp_path: Path) -> None:
    key = open_signing_key(tmp_path)
    (tmp_path / PUBLIC_KEY_FILE).write_text("changed")
    open_signing_key(tmp_path)
    assert read_public_key(tmp_path / PUBLIC_KEY_FILE) == key.public_key


def test_what_is_no_key_of_the_kind_is_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pems = [b"no key", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    file = tmp_path / KEY_FILE
    file.touch(mode=0o600)
    for pem in pems:
        file.write_bytes(pem)
        with pytest.raises(ConfigError, match=f"{re.escape(str(file))} holds no Ed25519 key"):
            open_signing_key(tmp_path)
    for pem in (*pems, public):
        (tmp_path / "x.pub").write_bytes(pem)
        with pytest.raises(ConfigError, match="holds no public key of Ed25519 as PEM"):
            read_public_key(tmp_path / "x.pub")
    with pytest.raises(ConfigError, match="cannot read"):
        read_public_key(tmp_path / "nowhere.pub")
