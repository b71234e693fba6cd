"""Lockgate without its log, to tell what the log costs: nothing else is changed.

There is no such configuration: a proxy that forgets what passed is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockgate import app
from lockgate.records import Record
from lockgate.storage import schema


class NoLog:
    """Takes everything and keeps nothing."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url

    def start(self) -> None:
        """The database is there, as a log makes it: others look into it too."""
        schema.upgrade(self._url)

    async def ready(self) -> None: ...

    def put(self, records: Sequence[Record]) -> None: ...

    async def close(self) -> list[Record]:
        return []


def forget() -> None:
    """From now on, a proxy that is built has no log."""
    app.SqlLog = NoLog  # pyright: ignore[reportAttributeAccessIssue]
