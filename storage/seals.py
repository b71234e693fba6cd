"""Seals: what one covers, and how each follows from the one before. Nothing here does I/O.

A writer, which is one run of a process, has a chain. Each batch of rows adds one seal to it, over the digests of the
rows and the seal before; the first one is over the chain's beginning, where the heads of the other chains stand. So a
row cannot be changed, removed or inserted without changing all that was sealed after it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import NamedTuple, Protocol, Self

from lockgate.errors import Error
from lockgate.wire.document import dumps, loads

DIGEST_BYTES = 16
"""Of a row, the first of its SHA-256. A row holds its random id, so nobody can prepare two with the same digest."""
_SEAL_DIGITS = 64
TAGS: Mapping[str, int] = {
    **{"exchange": 1, "comm": 2, "comm_relationship": 3, "decision": 4, "turn": 5, "audit": 6},
    "frames": 7,
}
"""The tables that are sealed. The numbers stand in databases."""
REWRITTEN = ("exchange", "audit")
"""Those of them with rows that are written again; of all others, the first time counts."""
TABLES = {tag: table for table, tag in TAGS.items()}
REMOVED = 0x80
"""Beside a table's tag: retention removes this row, so it has no digest."""

_ENTRY = struct.Struct(f"<B16s{DIGEST_BYTES}s")
_NO_DIGEST = bytes(DIGEST_BYTES)
_HEAD = re.compile(rf"(\d+):(\d+):([0-9a-f]{{{_SEAL_DIGITS}}})")


class Signer(Protocol):
    """Signs seals with Ed25519."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        ...

    def sign(self, data: bytes) -> bytes: ...


class Entry(NamedTuple):
    """What a seal says of one row. `digest` is None where retention removes the row; `id` has 16 bytes."""

    tag: int
    id: bytes
    digest: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A seal by its place; the last one of a chain stands for all before it."""

    chain: int
    number: int
    seal: bytes

    def __str__(self) -> str:
        return f"{self.chain}:{self.number}:{self.seal.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Error for what `str` does not give."""
        if not (found := _HEAD.fullmatch(text.strip().lower())):
            raise Error(f"{text!r} is no head: give one that `lockgate log verify` printed, as CHAIN:SEAL:HEXADECIMAL")
        return cls(chain=int(found[1]), number=int(found[2]), seal=bytes.fromhex(found[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What the first seal of a chain is over: JSON text in the database."""

    id: str = ""
    created_at: str = ""
    """The writer's clock, in ISO 8601."""
    key: bytes | None = None
    """The public key of its signatures, if there are any."""
    after: tuple[Head, ...] = ()
    """The heads that no other chain had seen, so that removing a chain, or the end of one, shows."""
    by: str = ""
    """The process that writes, for people: its machine and its number there."""
    older: Mapping[str, str] = field(default_factory=dict[str, str])
    """By table, the greatest id among the rows that were there before any seal was: those have none."""

    def to_bytes(self) -> bytes:
        after = [str(head) for head in self.after]
        key = self.key and self.key.hex()
        return dumps({**asdict(self), "key": key, "after": after})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises whatever a changed document makes Python raise."""
        said = loads(data)
        key = said["key"] and bytes.fromhex(said["key"])
        return cls(**said | {"key": key, "after": tuple(map(Head.parse, said["after"]))})


def pack(form: int, entries: Iterable[Entry]) -> bytes:
    """`form` is the version of what the digests cover: see `lockgate.storage.digests.FORMS`."""
    packed = (
        _ENTRY.pack(entry.tag, entry.id, entry.digest)
        if entry.digest is not None
        else _ENTRY.pack(entry.tag | REMOVED, entry.id, _NO_DIGEST)
        for entry in entries
    )
    return bytes([form]) + b"".join(packed)


def unpack(packed: bytes) -> tuple[int, Iterator[Entry]]:
    """The form and the entries. Raises ValueError where the bytes are no entries."""
    if not packed or (len(packed) - 1) % _ENTRY.size:
        raise ValueError("no entries of a seal")
    found = _ENTRY.iter_unpack(memoryview(packed)[1:])
    entries = (Entry(tag=tag & ~REMOVED, id=id, digest=None if tag & REMOVED else digest) for tag, id, digest in found)
    return packed[0], entries


def beginning_hash(chain: int, beginning: bytes) -> bytes:
    """What the first seal of this chain follows."""
    return sha256(b"lockgate chain %d\n%b" % (chain, beginning)).digest()


def seal_hash(before: bytes, chain: int, number: int, entries: bytes) -> bytes:
    """The seal that follows `before`."""
    covered = sha256(entries).digest()
    return sha256(b"lockgate seal %d %d\n%b%b" % (chain, number, before, covered)).digest()
