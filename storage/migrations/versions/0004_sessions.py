"""Sessions and turns: session, turn, and on exchange what its history is and what it is for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("attested", "purpose"):
        op.add_column("exchange", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_exchange_attested_id", "exchange", ["attested", "id"])
    op.create_table(
        "session",
        *_texts("id"),
        sa.Column("started_at", TIME, nullable=False),
        *_texts("parent_id", "relation"),
        *_digests("node"),
        *_texts("agent", "marker", "project", "token", "client", "title"),
        *_digests("opening"),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
    )
    for column in ("parent_id", "marker"):
        op.create_index(f"ix_session_{column}", "session", [column])
    op.create_table(
        "turn",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column(
            "exchange_id",
            sa.Uuid(as_uuid=False),
            sa.ForeignKey("exchange.id", name="fk_turn_exchange_id", ondelete="CASCADE"),
            nullable=False,
        ),
        *_texts("session_id"),
        *_digests("node", "parent", "meaning", "words"),
        sa.Column("comm_id", sa.Uuid(as_uuid=False), nullable=False),
        *_texts("reply_id", "attested"),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("complete", "veto")),
        *_texts("purpose"),
        sa.PrimaryKeyConstraint("id", name="pk_turn"),
    )
    for column in ("exchange_id", "node", "meaning", "reply_id"):
        op.create_index(f"ix_turn_{column}", "turn", [column])
    op.create_index("ix_turn_parent_words", "turn", ["parent", "words"])
    _name_older_sessions()


def downgrade() -> None:
    for table in ("turn", "session"):
        op.drop_table(table)
    op.drop_index("ix_exchange_attested_id", "exchange")
    for column in ("attested", "purpose"):
        op.drop_column("exchange", column)


def _name_older_sessions() -> None:
    """Until now an exchange held its agent's own marker: that is the id of its session, and its marker."""
    empty = "''" if op.get_context().dialect.name != "sqlite" else "x''"
    op.execute(
        "INSERT INTO session (id, started_at, parent_id, relation, node, agent, marker, project, token, client, title,"
        f" opening) SELECT session_id, min(started_at), '', '', {empty}, min(agent), session_id, min(project),"
        f" min(token), min(client), '', {empty} FROM exchange WHERE session_id <> '' GROUP BY session_id"
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _digests(*names: str) -> list[sa.Column[bytes]]:
    return [sa.Column(name, sa.LargeBinary(), nullable=False) for name in names]
