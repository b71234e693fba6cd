"""Administrators: administrator, administrator_key and administrator_session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    _make_administrator()
    _make_key()
    _make_session()


def _make_administrator() -> None:
    op.create_table(
        "administrator",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("password", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_administrator"),
    )
    op.create_index("ix_administrator_name", "administrator", ["name"], unique=True)


def _make_key() -> None:
    op.create_table(
        "administrator_key",
        *_owned("administrator_key"),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
    )
    _index("administrator_key")


def _make_session() -> None:
    op.create_table(
        "administrator_session",
        *_owned("administrator_session"),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    _index("administrator_session")
    op.create_index("ix_administrator_session_expires_at", "administrator_session", ["expires_at"])


def _owned(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    """The columns that keys and sessions share."""
    owner = sa.ForeignKeyConstraint(
        ["administrator_id"], ["administrator.id"], name=f"fk_{table}_administrator_id", ondelete="CASCADE"
    )
    return (
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("administrator_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        owner,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _index(table: str) -> None:
    op.create_index(f"ix_{table}_administrator_id", table, ["administrator_id"])
    op.create_index(f"ix_{table}_digest", table, ["digest"], unique=True)


def downgrade() -> None:
    for table in ("administrator_session", "administrator_key", "administrator"):
        op.drop_table(table)
