"""Budgets: budget_use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "budget_use",
        sa.Column("subject_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("nano_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "period", name="pk_budget_use"),
    )


def downgrade() -> None:
    op.drop_table("budget_use")
