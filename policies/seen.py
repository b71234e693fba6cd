"""Remembers by digest which texts were looked through: conversations are sent again with every turn."""

from __future__ import annotations

import hashlib
from collections import OrderedDict


class Clean:
    """Which texts were looked through and nothing found, the latest `size` of them."""

    def __init__(self, size: int) -> None:
        self._size, self._known = size, OrderedDict[bytes, None]()

    def has(self, key: bytes) -> bool:
        if key in self._known:
            self._known.move_to_end(key)
            return True
        return False

    def add(self, key: bytes) -> None:
        self._known[key] = None
        if len(self._known) > self._size:
            self._known.popitem(last=False)


def digest(text: str, salt: bytes = b"") -> bytes:
    """Names the text; what was looked for besides the rule's own options goes into the salt."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, salt=salt).digest()
