"""SQLite looks for the least of costs and tokens in indexes; and what each day's sessions took is kept too.

What is stored of exchanges is the same. The indexes have steps of a cent and of 10,000 tokens: new rows come to their
few ends, and not to any of their pages. PostgreSQL has summaries of costs and tokens already. Days are added up anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
ALL_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in TOKENS)
STEPS = {"cost": "cost_nano_usd / 10000000", "tokens": f"({ALL_TOKENS}) / 10000"}
WORDS = ("day", "session_id", "kind", "model", "project", "token")
COUNTS = ("exchanges", *TOKENS, "nano_usd", "unpriced", "estimated")


def upgrade() -> None:
    op.create_table(
        "usage_session_day",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in WORDS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("number", name="pk_usage_session_day"),
    )
    op.create_index("ix_usage_session_day_day", "usage_session_day", ["day"])
    op.execute("DELETE FROM usage_fold")
    if op.get_context().dialect.name == "sqlite":
        for name, step in STEPS.items():
            op.create_index(f"ix_exchange_{name}", "exchange", [sa.text(step)])


def downgrade() -> None:
    op.drop_table("usage_session_day")
    if op.get_context().dialect.name == "sqlite":
        for name in STEPS:
            op.drop_index(f"ix_exchange_{name}", "exchange")
