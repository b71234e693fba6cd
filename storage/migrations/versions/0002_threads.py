"""Messages once: message, thread and blob, and on comm what a request is beside its messages; headers once: heading."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NODES = ("thread", "preamble")
PIECES = ("envelope", "form", "digest")


def upgrade() -> None:
    op.create_table(
        "message",
        _hash("hash"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("blobs", sa.LargeBinary()),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_message"),
    )
    op.create_table(
        "blob",
        _hash("hash"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_blob"),
    )
    op.create_table(
        "thread",
        _hash("hash"),
        sa.Column("parent", sa.LargeBinary(), sa.ForeignKey("thread.hash", name="fk_thread_parent")),
        sa.Column("message", sa.LargeBinary(), _points_to("message", "fk_thread_message"), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_thread"),
        sqlite_with_rowid=False,
    )
    for column in ("parent", "message"):
        op.create_index(f"ix_thread_{column}", "thread", [column])
    for column in NODES:
        key = _points_to("thread", f"fk_comm_{column}")
        # In place: SQLite would else copy the whole table, with every body that was ever logged.
        op.add_column("comm", sa.Column(column, sa.LargeBinary(), key), inline_references=True)
        op.create_index(f"ix_comm_{column}", "comm", [column])
    for column in PIECES:
        op.add_column("comm", sa.Column(column, sa.LargeBinary()))
    op.create_table(
        "heading",
        _hash("hash"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_heading"),
    )
    key = _points_to("heading", "fk_comm_heading")
    op.add_column("comm", sa.Column("heading", sa.LargeBinary(), key), inline_references=True)
    op.add_column("comm", sa.Column("reply_id", sa.Text()))
    op.create_index("ix_comm_reply_id", "comm", ["reply_id"])


def downgrade() -> None:
    """Only for a log that holds no request of this version: a request's messages are in the tables that go."""
    for column in (*NODES, "reply_id"):
        op.drop_index(f"ix_comm_{column}", "comm")
    with op.batch_alter_table("comm") as table:
        for column in (*PIECES, *NODES, "heading", "reply_id"):
            table.drop_column(column)
    for name in ("thread", "blob", "message", "heading"):
        op.drop_table(name)


def _hash(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _points_to(table: str, name: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.hash", name=name)
