"""Which proxies are there: proxy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "proxy",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("host", "version", "policy_set")),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("listen", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("open_exchanges", "held")),
        *(sa.Column(name, time, nullable=False) for name in ("started_at", "seen_at")),
        sa.Column("ended_at", time, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_proxy"),
    )


def downgrade() -> None:
    op.drop_table("proxy")
