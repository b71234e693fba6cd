"""Which message holds which file, as rows with foreign keys: a file cannot go while a message needs it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lockgate.wire.blobs import blob_hashes

revision = "0006"
down_revision = "0005"

ROWS = 500


def upgrade() -> None:
    op.create_table(
        "message_blob",
        _points_to("message", ondelete="CASCADE"),
        _points_to("blob"),
        sa.PrimaryKeyConstraint("message", "blob", name="pk_message_blob"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_blob_blob", "message_blob", ["blob"])
    _fill()


def downgrade() -> None:
    op.drop_table("message_blob")


def _fill() -> None:
    """From what messages say themselves; a file that is missing has no row, and reading the message tells of it."""
    message, blob, link = (
        sa.table("message", sa.column("hash", sa.LargeBinary()), sa.column("blobs", sa.LargeBinary())),
        sa.table("blob", sa.column("hash", sa.LargeBinary())),
        sa.table("message_blob", sa.column("message", sa.LargeBinary()), sa.column("blob", sa.LargeBinary())),
    )
    connection = op.get_bind()
    known = set(connection.scalars(sa.select(blob.c.hash)))
    last = b""
    while rows := connection.execute(
        sa.select(message)
        .where(message.c.hash > last, message.c.blobs.is_not(None))
        .order_by(message.c.hash)
        .limit(ROWS)
    ).all():
        last = rows[-1].hash
        pairs = {(row.hash, hash) for row in rows for hash in blob_hashes(row.blobs) if hash in known}
        if pairs:
            connection.execute(sa.insert(link), [{"message": one, "blob": other} for one, other in sorted(pairs)])


def _points_to(table: str, ondelete: str | None = None) -> sa.Column[bytes]:
    key = sa.ForeignKey(f"{table}.hash", name=f"fk_message_blob_{table}", ondelete=ondelete)
    return sa.Column(table, sa.LargeBinary(), key, nullable=False)
