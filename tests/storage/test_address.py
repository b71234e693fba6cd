from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.errors import ConfigError
from lockgate.storage.address import parse

PASSWORD = "p/w@d%3A"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a.db", Path("a.db")),
        ("sqlite:////tmp/a b.db", Path("/tmp/a b.db")),
        ("sqlite:///d/%41.db", Path("d/%41.db")),
    ],
)
def test_sqlite_names_a_file(url: str, path: Path) -> None:
    assert (parse(url).kind, parse(url).path) == ("sqlite", path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_libpq_reads_postgresql_in_all_its_spellings(scheme: str) -> None:
    assert parse(f"{scheme}://user@host/db?host=/run").libpq_url == "postgresql://user@host/db?host=/run"


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "mysql://h/d", "a.db", ""]
)
def test_another_form_is_refused_with_the_right_ones(url: str) -> None:
    with pytest.raises(ConfigError, match=r"takes .*sqlite:///relative\.db"):
        parse(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://user:{PASSWORD}@host/db", "postgresql://user:***@host/db"),
        (f"postgresql://:{PASSWORD}@host/db", "postgresql://:***@host/db"),
        (f"postgresql://host/db?user=u&password={PASSWORD}&x=1", "postgresql://host/db?user=u&password=***&x=1"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    address = parse(url)
    assert address.shown == shown
    assert PASSWORD not in repr(address)


def test_a_password_is_cut_out_of_what_a_driver_says() -> None:
    address = parse(f"postgresql://user:{PASSWORD}@host/db")
    assert address.clean(f"bad\n  word {PASSWORD} p/w@d:") == "bad word *** ***"


def test_a_password_is_not_shown_by_a_refusal() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse("mysql://u:hush@host/db")
    assert "hush" not in str(refusal.value)
