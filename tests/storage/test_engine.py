from __future__ import annotations

import pytest

from lockgate.errors import ConfigError
from lockgate.storage.address import parse
from lockgate.storage.engine import libpq_arguments


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:pw@a:1,b:2/db?connect_timeout=2", "postgres://me:pw@/db?host=a,b&port=1,2&connect_timeout=2"],
)
def test_a_postgresql_may_have_several_hosts(url: str) -> None:
    found = libpq_arguments(parse(url))
    assert found == {
        **{"user": "me", "password": "pw", "dbname": "db", "host": "a,b", "port": "1,2", "connect_timeout": "2"}
    }


def test_what_libpq_cannot_read_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError, match="nonsense") as refusal:
        libpq_arguments(parse("postgresql://me:hush@a/db?nonsense=1"))
    assert "hush" not in str(refusal.value)
