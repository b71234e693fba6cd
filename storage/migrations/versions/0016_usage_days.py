"""What exchanges took by day: usage_day, and usage_fold, which says of which days it is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

WORDS = ("day", "kind", "trigger", "provider", "model", "agent", "project", "token", "outcome")
COUNTS = (
    *("exchanges", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "nano_usd"),
    *("unpriced", "estimated", "blocked", "first_bytes", "durations"),
)


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "usage_day",
        sa.Column("number", number, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in WORDS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.Column("first_byte_ms", sa.Float(), nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_usage_day"),
    )
    op.create_index("ix_usage_day_day", "usage_day", ["day"])
    op.create_table(
        "usage_fold",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_usage_fold"),
    )


def downgrade() -> None:
    op.drop_table("usage_fold")
    op.drop_table("usage_day")
