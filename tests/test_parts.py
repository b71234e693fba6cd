"""Parts are closed in reverse, and all of them, whatever fails."""

from __future__ import annotations

import pytest

from lockgate.errors import StorageError
from lockgate.parts import Parts


class Part:
    def __init__(self, name: str, said: list[str], *, fails: bool = False) -> None:
        self.name, self._said, self._fails = name, said, fails

    def start(self) -> None:
        self._said.append(f"{self.name} started")

    async def close(self) -> None:
        if self._fails:
            raise StorageError(f"{self.name} is stuck")
        self._said.append(f"{self.name} closed")


async def test_what_was_added_last_is_closed_first(caplog: pytest.LogCaptureFixture) -> None:
    parts, said = Parts(), list[str]()
    for name in "abcd":
        parts.add(Part(name, said, fails=name in "bc"), None if name == "a" else Part.start)
    parts.start()
    await parts.close()
    assert said == ["b started", "c started", "d started", "d closed", "a closed"]
    assert [record.getMessage() for record in caplog.records] == [
        f"Part could not be closed: {name} is stuck" for name in "cb"
    ]
