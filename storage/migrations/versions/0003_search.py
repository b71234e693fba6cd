"""Search, cost, labels and notes: said, tool_use, label and note, and on exchange who counted and what it cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0003"
down_revision = "0002"

FILTERED = ("provider", "model", "agent", "project", "status", "started_at")
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
FTS5 = "CREATE VIRTUAL TABLE said_fts USING fts5 (text, content='', tokenize='unicode61 remove_diacritics 0')"


def upgrade() -> None:
    op.add_column("exchange", sa.Column("counted_by", sa.Text(), nullable=False, server_default="none"))
    op.add_column("exchange", sa.Column("cost_nano_usd", sa.BigInteger()))
    op.execute("UPDATE exchange SET counted_by = 'provider' WHERE input_tokens IS NOT NULL")
    for name in ("started_at", "kind_id"):
        op.drop_index(f"ix_exchange_{name}", "exchange")
    op.create_index("ix_exchange_kind_id", "exchange", ["kind", "id", "cost_nano_usd", *TOKENS])
    for column in FILTERED:
        op.create_index(f"ix_exchange_{column}_id", "exchange", [column, "id"])
    op.create_index("ix_decision_action_exchange_id", "decision", ["action", "exchange_id"])
    _create_said()
    op.create_table(
        "tool_use",
        sa.Column("name", sa.Text(), nullable=False),
        _belongs_to("tool_use", "exchange_id", "exchange", nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", "exchange_id", name="pk_tool_use"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tool_use_exchange_id", "tool_use", ["exchange_id"])
    _create_about("label", "name")
    op.create_index("ix_label_name", "label", ["name"])
    for about in ("exchange_id", "session_id"):
        op.create_index(f"ix_label_{about}_name", "label", [about, "name"], unique=True)
    _create_about("note", "text")
    for about in ("exchange_id", "session_id"):
        op.create_index(f"ix_note_{about}", "note", [about])


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TABLE said_fts")
    for table in ("note", "label", "tool_use", "said"):
        op.drop_table(table)
    op.drop_index("ix_decision_action_exchange_id", "decision")
    for column in FILTERED:
        op.drop_index(f"ix_exchange_{column}_id", "exchange")
    op.create_index("ix_exchange_started_at", "exchange", ["started_at"])
    op.drop_index("ix_exchange_kind_id", "exchange")
    op.create_index("ix_exchange_kind_id", "exchange", ["kind", "id"])
    for column in ("cost_nano_usd", "counted_by"):
        op.drop_column("exchange", column)


def _create_said() -> None:
    op.create_table(
        "said",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _belongs_to("said", "exchange_id", "exchange", nullable=False),
        sa.Column("comm_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("message", sa.LargeBinary()),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql")),
        sa.PrimaryKeyConstraint("number", name="pk_said"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_said_exchange_id_digest", "said", ["exchange_id", "digest"], unique=True)
    if op.get_context().dialect.name == "sqlite":
        op.execute(FTS5)
    else:
        few = {"gin_pending_list_limit": 64}  # kB: by itself it would leave 4 MB of new words unsorted
        op.create_index(
            *("ix_said_words", "said", ["words"]),
            postgresql_using="gin",
            postgresql_with=few,
        )


def _create_about(table: str, content: str) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column(content, sa.Text(), nullable=False),
        _belongs_to(table, "exchange_id", "exchange", nullable=True),
        sa.Column("session_id", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _belongs_to(table: str, column: str, other: str, *, nullable: bool) -> sa.Column[str]:
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Uuid(as_uuid=False), key, nullable=nullable)
