"""Tamper evidence: chain and seal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "chain",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("beginning", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_chain"),
    )
    op.create_index("ix_chain_id", "chain", ["id"], unique=True)
    op.create_table(
        "seal",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["chain"], ["chain.number"], name="fk_seal_chain"),
        sa.PrimaryKeyConstraint("chain", "number", name="pk_seal"),
    )


def downgrade() -> None:
    for table in ("seal", "chain"):
        op.drop_table(table)
