"""The keys that access stands on."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lockgate.access.keyring import CannotOpen, Keyring, open_keyring
from lockgate.errors import ConfigError

OLD, NEW = b"o" * 32, b"n" * 32


def line(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


def test_a_digest_is_the_token_s_and_the_secret_s():
    ring = Keyring([OLD])
    assert ring.digest("lg_a") == Keyring([OLD]).digest("lg_a")
    assert len(ring.digest("lg_a")) == 32
    assert len({ring.digest("lg_a"), ring.digest("lg_b"), Keyring([NEW]).digest("lg_a")}) == 3


def test_after_a_rotation_the_old_digests_are_found_and_new_ones_made():
    ring = Keyring([NEW, OLD])
    assert ring.digests("lg_a") == [Keyring([NEW]).digest("lg_a"), Keyring([OLD]).digest("lg_a")]
    assert ring.digest("lg_a") == Keyring([NEW]).digest("lg_a")


def test_what_is_encrypted_is_read_back_by_who_has_the_secret():
    kept = Keyring([OLD]).encrypt("sk-ünter", "row 1")
    assert b"nter" not in kept
    assert kept != Keyring([OLD]).encrypt("sk-ünter", "row 1")
    ring = Keyring([NEW, OLD])
    assert ring.decrypt(kept, "row 1") == "sk-ünter"
    assert not ring.is_current(kept)
    assert ring.is_current(ring.encrypt("x", "row 1"))


def test_a_kept_key_is_good_for_its_own_row_and_unchanged_only():
    ring = Keyring([OLD])
    kept = ring.encrypt("sk-a", "row 1")
    with pytest.raises(CannotOpen, match="not what was kept"):
        ring.decrypt(kept, "row 2")
    for place in range(4, len(kept)):
        with pytest.raises(CannotOpen, match="not what was kept"):
            ring.decrypt(kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :], "row 1")


def test_a_secret_that_is_not_there_is_asked_for():
    with pytest.raises(CannotOpen, match="add it as a further line"):
        Keyring([NEW]).decrypt(Keyring([OLD]).encrypt("sk-a", "r"), "r")


def test_a_keyring_s_secrets_are_in_no_text_of_it():
    assert "ooo" not in repr(Keyring([OLD]))


def test_the_file_is_made_once_for_its_owner_alone(tmp_path: Path):
    folder = tmp_path / "home"
    first = open_keyring(folder)
    file = folder / "access.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(file.read_text())) == 32
    assert open_keyring(folder).digest("lg_a") == first.digest("lg_a")


def test_a_file_that_others_may_read_is_refused(tmp_path: Path):
    open_keyring(tmp_path)
    (tmp_path / "access.key").chmod(0o640)
    with pytest.raises(ConfigError, match="open to others"):
        open_keyring(tmp_path)


def test_a_variable_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_KEYS", f"{line(NEW)}\n{line(OLD)}")
    assert open_keyring(tmp_path, variable="THE_KEYS").digests("t") == Keyring([NEW, OLD]).digests("t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "short", line(b"x" * 31), line(NEW) + "\n=", "ß"])
def test_what_holds_no_secret_is_refused_with_the_remedy(tmp_path: Path, text: str):
    file = tmp_path / "mine.key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"mine\.key holds no secret .*openssl rand -base64 32"):
        open_keyring(tmp_path, file=file)


def test_a_named_file_is_not_made(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"mine\.key"):
        open_keyring(tmp_path, file=tmp_path / "mine.key")
    assert list(tmp_path.iterdir()) == []
