"""The seals, checked against one another: each follows from the one before, and every chain is there to its end."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, select

from lockgate.storage.findings import KEPT, Finding, Findings
from lockgate.storage.models import ChainModel, SealModel
from lockgate.storage.seals import Beginning, Head, beginning_hash, seal_hash

type Row = Mapping[str, Any]
type Take = Callable[[int, int, bytes], None]
"""Gets the chain, the number and the entries of each seal."""

_CHAINS, _SEALS = (cast(Table, model.__table__) for model in (ChainModel, SealModel))
SEALS_AT_ONCE = 200


@dataclass(slots=True, kw_only=True)
class Chain:
    """What was learned of one chain. `signed` counts its seals with a good signature of its own key."""

    beginning: Beginning
    head: Head
    signed: int = 0
    expected: dict[int, list[tuple[bytes, str]]] = field(default_factory=dict[int, list[tuple[bytes, str]]])
    """By number, the seals that others saw, and who they are."""


class Chains:
    """Walks all seals of a database, in the order in which their chains were begun."""

    def __init__(self, connection: Connection, findings: Findings, noted: Iterable[Head] = ()) -> None:
        """Each of the heads that were noted has to be there still."""
        self._connection, self._findings = connection, findings
        self.seals = 0
        rows = self._rows(select(_CHAINS.c.number, _CHAINS.c.beginning).order_by(_CHAINS.c.number))
        self.chains = {row["number"]: self._chain(row["number"], row["beginning"]) for row in rows}
        for number in sorted(set(range(1, max(self.chains, default=0))) - set(self.chains))[:KEPT]:
            self._find(f"chain {number}", f"chain {number} was removed: one that began after it is there")
        self._seen = {(head.chain, head.number) for chain in self.chains.values() for head in chain.beginning.after}
        for number, chain in self.chains.items():
            for head in chain.beginning.after:
                self._expect(head, f"after which chain {number} began")
        for head in noted:
            if not self._expect(head, "which was noted"):
                self._find(str(head), f"chain {head.chain} was removed, and so its seal {head.number}, which was noted")

    def walk(self, take: Take) -> None:
        """Check every seal, and hand its entries on."""
        seals = self._rows(select(_SEALS).order_by(_SEALS.c.chain, _SEALS.c.number))
        for number, rows in groupby(seals, key=lambda row: row["chain"]):
            if (chain := self.chains.get(number)) is None:
                self._find(f"chain {number}", f"chain {number} has seals and no beginning: it was removed")
            for row in rows:
                self.seals += 1
                self._check(chain, row, take)
        for chain in self.chains.values():
            self._check_end(chain)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The ends of chains that no other chain began after."""
        ends = (chain.head for chain in self.chains.values())
        return tuple(head for head in ends if (head.chain, head.number) not in self._seen)

    def vouched(self, keys: Collection[bytes]) -> dict[int, int]:
        """By chain, up to which of its seals one of these keys stands behind it: its own, or that of a later chain."""
        vouched: dict[int, int] = defaultdict(int)
        for number, chain in sorted(self.chains.items(), reverse=True):
            if chain.beginning.key in keys:
                vouched[number] = max(vouched[number], chain.signed)
            if vouched[number]:
                for head in chain.beginning.after:
                    vouched[head.chain] = max(vouched[head.chain], head.number)
        return vouched

    def _rows(self, query: Select[*tuple[Any, ...]]) -> Iterator[Row]:
        rows = self._connection.execute(query, execution_options={"yield_per": SEALS_AT_ONCE}).mappings()
        return iter(cast(Iterable[Row], rows))

    def _chain(self, number: int, beginning: bytes) -> Chain:
        head = Head(chain=number, number=0, seal=beginning_hash(number, beginning))
        try:
            return Chain(beginning=Beginning.from_bytes(beginning), head=head)
        except Exception:
            self._find(f"chain {number}", f"the beginning of chain {number} was changed: it cannot be read")
            return Chain(beginning=Beginning(), head=head)

    def _expect(self, head: Head, who: str) -> bool:
        if chain := self.chains.get(head.chain):
            chain.expected.setdefault(head.number, []).append((head.seal, who))
        return chain is not None

    def _check(self, chain: Chain | None, row: Row, take: Take) -> None:
        name = f"seal {row['number']} of chain {row['chain']}"
        try:
            take(row["chain"], row["number"], row["entries"])
            if chain:
                self._follow(chain, row, name)
        except (TypeError, ValueError, struct.error):
            self._find(name, f"{name} was changed: it cannot be read")

    def _follow(self, chain: Chain, row: Row, name: str) -> None:
        """One seal after `chain.head`; what comes behind a broken one is compared with what stands there."""
        if not isinstance(row["seal"], bytes):
            raise TypeError
        before, here = chain.head, Head(chain=chain.head.chain, number=row["number"], seal=row["seal"])
        chain.head = here
        if here.number != before.number + 1:
            missing = f"seal {before.number + 1} of chain {here.chain}"
            self._find(str(here), f"{missing} was removed: the next one that is there is {here.number}")
        elif here.seal != seal_hash(before.seal, here.chain, here.number, row["entries"]):
            what = "the beginning of its chain" if here.number == 1 else "the seal before it"
            self._find(str(here), f"{name} was changed: it does not follow from {what} and from what it covers")
        for seal, who in chain.expected.pop(here.number, ()):
            if seal != here.seal:
                self._find(str(here), f"{name} was changed: it is not the one {who}")
        if (key := chain.beginning.key) and is_signed(key, row["seal"], row["signature"]):
            chain.signed += 1
        elif key:
            self._find(str(here), f"{name} was changed: its signature is not one of its chain's key")

    def _check_end(self, chain: Chain) -> None:
        head = chain.head
        if not head.number:
            self._find(str(head), f"the seals of chain {head.chain} were removed")
        for number, seen in sorted(chain.expected.items()):
            for _, who in seen:
                end = f"the end of chain {head.chain} was cut off: its seal {number}, {who}, is not there"
                self._find(str(head), f"{end}, and its last is {head.number}")

    def _find(self, id: str, sentence: str) -> None:
        self._findings.add(Finding(kind="chain", table="seal", id=id, sentence=sentence), rank=0)


def is_signed(key: bytes, data: bytes, signature: bytes | None) -> bool:
    """Whether this Ed25519 key signed the data."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature or b"", data)
    except (InvalidSignature, ValueError):
        return False
    return True


def entries_of(connection: Connection, chain: int, number: int) -> bytes:
    """Of one seal."""
    query = select(_SEALS.c.entries).where(_SEALS.c.chain == chain, _SEALS.c.number == number)
    return connection.execute(query).scalar_one()
