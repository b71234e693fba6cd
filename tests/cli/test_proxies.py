"""Proxies that share a database, in processes of their own: `lockgate top` tells which are there, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lockgate.storage import schema
from lockgate.storage.queries import Queries
from tests.cli.commands import lockgate
from tests.cli.test_kill import serving


async def test_each_says_that_it_is_there_and_that_it_ends(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    settings: dict[str, Any] = {"database": database_url, "rules": []}
    async with Queries(database_url) as log:
        async with serving(tmp_path / "one", settings) as one, serving(tmp_path / "two", settings) as two:
            while len(found := await log.proxies()) < 2:
                pass  # until both have told
            assert {each.listen for each in found} == {(f"regular 127.0.0.1:{port}",) for port in (one, two)}
            assert [each.state for each in found] == ["serving", "serving"]
            top = lockgate("top", "--once", folder=tmp_path / "one", env={"COLUMNS": "200"})
            assert all(each.name in top.stdout and each.listen[0] in top.stdout for each in found), top.stdout
        assert [each.state for each in await log.proxies()] == ["ended", "ended"]
