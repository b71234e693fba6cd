"""The frames of streamed replies: frames."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "frames",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("exchange_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_frames"),
        sa.ForeignKeyConstraint(
            ["exchange_id"], ["exchange.id"], name="fk_frames_exchange_id_exchange", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_frames_exchange_id", "frames", ["exchange_id"])
    if op.get_context().dialect.name == "postgresql":  # it is compressed, and nobody asks for it by its value
        op.execute("ALTER TABLE frames ALTER content SET STORAGE EXTERNAL, ALTER content SET STATISTICS 0")


def downgrade() -> None:
    op.drop_table("frames")
