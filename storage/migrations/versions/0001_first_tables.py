"""The first tables: exchange, comm, comm_relationship, decision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "exchange",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        *_texts("kind", "provider", "host", "endpoint", "model", "agent", "session_id", "project", "token", "trigger"),
        *_texts("client", "policy_set"),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer()),
        *_texts("outcome", "stop_reason"),
        *(sa.Column(f"{name}_tokens", sa.BigInteger()) for name in ("input", "output", "cache_read", "cache_write")),
        sa.Column("first_byte_ms", sa.Float()),
        sa.Column("duration_ms", sa.Float()),
        sa.Column("tool_calls", sa.Integer(), nullable=False),
        sa.Column("blocked", sa.Integer(), nullable=False),
        sa.Column("rules", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        *_texts("error"),
        sa.PrimaryKeyConstraint("id", name="pk_exchange"),
    )
    op.create_index("ix_exchange_started_at", "exchange", ["started_at"])
    for column in ("kind", "session_id", "outcome"):
        op.create_index(f"ix_exchange_{column}_id", "exchange", [column, "id"])
    op.create_table(
        "comm",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        _belongs_to("comm", "exchange_id", "exchange"),
        *_texts("session_id", "type", "source", "destination", "endpoint"),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        *_texts("trigger"),
        sa.Column("status", sa.Integer()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_comm"),
    )
    op.create_index("ix_comm_exchange_id", "comm", ["exchange_id"])
    op.create_table(
        "comm_relationship",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        _belongs_to("comm_relationship", "from_comm_id", "comm"),
        _belongs_to("comm_relationship", "to_comm_id", "comm"),
        *_texts("relationship_type"),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_comm_relationship"),
    )
    for column in ("from_comm_id", "to_comm_id"):
        op.create_index(f"ix_comm_relationship_{column}", "comm_relationship", [column])
    op.create_table(
        "decision",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        _belongs_to("decision", "exchange_id", "exchange"),
        *_texts("rule", "policy", "policy_set", "mode", "subject", "action"),
        sa.Column("score", sa.Float()),
        *_texts("reason"),
        sa.Column("milliseconds", sa.Float(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("given", sa.LargeBinary(), nullable=False),
        sa.Column("out", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decision"),
    )
    op.create_index("ix_decision_exchange_id", "decision", ["exchange_id"])
    op.create_index("ix_decision_rule_exchange_id", "decision", ["rule", "exchange_id"])


def downgrade() -> None:
    for table in ("decision", "comm_relationship", "comm", "exchange"):
        op.drop_table(table)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _belongs_to(table: str, column: str, other: str) -> sa.Column[str]:
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Uuid(as_uuid=False), key, nullable=False)
