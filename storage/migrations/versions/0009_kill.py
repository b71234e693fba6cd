"""What operators, and rules, have stopped on every proxy: kill."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "kill",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        *_texts("scope", "target"),
        sa.Column("names", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        *_texts("set_by", "reason"),
        sa.Column("until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("lifted_at", TIME, nullable=True),
        *_texts("lifted_by"),
        sa.PrimaryKeyConstraint("id", name="pk_kill"),
    )
    op.create_index("ix_kill_lifted_at_until", "kill", ["lifted_at", "until"])


def downgrade() -> None:
    op.drop_table("kill")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]
