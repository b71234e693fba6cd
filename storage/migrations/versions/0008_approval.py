"""Tool calls that wait for a person's word, and those that had it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "approval",
        *(sa.Column(name, sa.Uuid(as_uuid=False), nullable=False) for name in ("id", "exchange_id")),
        *_texts("key", "digest", "session_id", "rule", "agent", "project", "model", "tool", "arguments"),
        sa.Column("custom", sa.Boolean(), nullable=False),
        *_texts("schema"),
        sa.Column("score", sa.Float()),
        *_texts("reason"),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, TIME, nullable=False) for name in ("asked_at", "deadline")),
        *_texts("by_default", "state", "decided_by"),
        sa.Column("decided_at", TIME),
        *_texts("note"),
        sa.Column("note_shown", sa.Boolean(), nullable=False),
        sa.Column("edited", sa.Text()),
        *(sa.Column(name, TIME) for name in ("left_at", "used_at")),
        sa.PrimaryKeyConstraint("id", name="pk_approval"),
    )
    for columns in (["state", "id"], ["key"], ["exchange_id"]):
        op.create_index(f"ix_approval_{'_'.join(columns)}", "approval", columns)


def downgrade() -> None:
    op.drop_table("approval")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]
