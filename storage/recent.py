"""A bounded memory of what was used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator


class Recent[K, V]:
    """The last so many, by when they were last asked for."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[K]:
        return iter(self._kept)

    def __contains__(self, key: K) -> bool:
        if key in self._kept:
            self._kept.move_to_end(key)
            return True
        return False

    def __setitem__(self, key: K, value: V) -> None:
        self._kept[key] = value
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def get(self, key: K) -> V | None:
        return self._kept[key] if key in self else None

    def clear(self) -> None:
        self._kept.clear()
