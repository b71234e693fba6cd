"""A log that is sealed, for who does things to it: what was written there, and what verifying it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lockgate.certs.signing import SigningKey
from lockgate.records import Record, TurnRow
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.models import Base
from lockgate.storage.verify import Report, Wanted, verify
from lockgate.storage.writer import Writer
from tests.storage.records import decision, frames_row, whole_exchange
from tests.storage.talks import IMAGE, exchange, execute, says, user

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
SIGNER, OTHER = (SigningKey(Ed25519PrivateKey.generate()) for _ in range(2))
KEYS = [SIGNER.public_key]


def sentences(report: Report) -> list[str]:
    return [finding.sentence for finding in report.findings]


def found(url: str, **wanted: Any) -> list[tuple[str, str]]:
    return [(one.kind, one.table) for one in verify(url, Wanted(**wanted)).findings]


def record(url: str, *batches: Iterable[Record], signer: SigningKey | None = None) -> None:
    """One run of a writer."""
    schema.upgrade(url)
    with Writer(parse(url), signer=signer) as writer:
        for batch in batches:
            writer.write(list(batch))


def hex_of(id: str) -> str:
    return id.replace("-", "")


def literal(url: str, value: bytes) -> str:
    return f"x'{value.hex()}'" if url.startswith("sqlite") else f"'\\x{value.hex()}'::bytea"


@dataclass
class Kept:
    """A log of three runs, with one exchange in the middle one to do things to."""

    url: str
    records: list[Record]

    def of(self, kind: str) -> Record:
        return next(one for one in self.records if type(one).__name__ == kind)


def talk_of(text: str) -> list[Record]:
    """An exchange in parts, a decision, the turn that was released, and the frames of the reply."""
    messages = [user([{"type": "text", "text": "One."}, PICTURE]), says("Two."), user(text)]
    reply = {"id": "m1", "role": "assistant", "content": [{"type": "text", "text": "Four."}]}
    records = exchange({"messages": messages}, reply)
    digests = {"node": b"n", "parent": b"", "meaning": b"m", "words": b"w"}
    turn = TurnRow(exchange_id=records[0].id, session_id="s", comm_id=records[-1].id, **digests)
    return [*records, decision(records[0].id), turn, frames_row(records[0].id)]


@pytest.fixture
def kept(database_url: str) -> Kept:
    middle = talk_of("Three.")
    for batch in (whole_exchange(), middle, whole_exchange()):
        record(database_url, batch[:2], batch)
    assert verify(database_url).found == 0
    return Kept(database_url, middle)


@pytest.fixture
def signed(database_url: str) -> str:
    for _ in range(2):
        record(database_url, whole_exchange(), whole_exchange(), signer=SIGNER)
    report = verify(database_url, Wanted(keys=KEYS, signed=True))
    assert (report.found, any("signature" in sentence for sentence in report.unchecked)) == (0, False)
    return database_url


def id_in(url: str, id: str) -> str:
    return hex_of(id) if url.startswith("sqlite") else id


def columns_of(url: str, table: str) -> list[str]:
    return [column.name for column in Base.metadata.tables[table].columns]


def forget(url: str, *, chain: int, rows: Iterable[Record]) -> None:
    """All that there is of a chain."""
    tables = {
        "ExchangeRow": "exchange",
        "Comm": "comm",
        "Relation": "comm_relationship",
        "Decision": "decision",
        "TurnRow": "turn",
        "FramesRow": "frames",
    }
    for one in rows:
        execute(url, f"DELETE FROM {tables[type(one).__name__]} WHERE id = '{id_in(url, one.id)}'")
    execute(url, f"DELETE FROM seal WHERE chain = {chain}", f"DELETE FROM chain WHERE number = {chain}")
