"""Lists and searches that find little are as fast as those that find much; and PostgreSQL's log is smaller.

What is stored is the same. On PostgreSQL, an index for a filter has the time in steps of a quarter of an hour instead
of the exchange's id, so that rows that are alike stand in it once, and still the newest come first; and the least of
costs and tokens is looked for in summaries of a few pages each. SQLite has an index with all that lists ask for. A pair
of words is hashed by how the second one begins, so that phrases that end in a beginning are found by it too.
"""

from __future__ import annotations

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

FILTERS = ("session_id", "outcome", "provider", "model", "agent", "project", "status", "attested")
AGE = "substr(id::text, 1, 7)"
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
ALL_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in TOKENS)
ASKED = (
    *("kind", "cost_nano_usd", *TOKENS, "provider", "model", "agent", "project", "token", "trigger", "outcome"),
    *("status", "attested", "purpose", "started_at", "session_id"),
)
SELDOM = ("token", "trigger", "purpose")
WORD_PAIRS = import_module("lockgate.storage.migrations.versions.0014_word_pairs")
BY_BEGINNING = WORD_PAIRS.WORD_PAIRS.replace("|| next)", "|| left(next, 3))")


def upgrade() -> None:
    postgres = op.get_context().dialect.name == "postgresql"
    for name in SELDOM:
        columns = [name, sa.text(AGE) if postgres else "id"]
        where = sa.text(f"\"{name}\" <> ''")
        op.create_index(f"ix_exchange_{name}_id", "exchange", columns, sqlite_where=where, postgresql_where=where)
    op.drop_index("ix_exchange_kind_id", "exchange")
    op.create_index("ix_exchange_kind_id", "exchange", ["kind", "id"])
    if not postgres:
        op.create_index("ix_exchange_all", "exchange", ["id", *ASKED])
        return
    for name in FILTERS:
        op.drop_index(f"ix_exchange_{name}_id", "exchange")
        op.create_index(f"ix_exchange_{name}_id", "exchange", [name, sa.text(AGE)])
    for name in (*FILTERS, *SELDOM):  # samples of the time would only take room
        op.execute(f"ALTER INDEX ix_exchange_{name}_id ALTER COLUMN 2 SET STATISTICS 0")
    least = {"pages_per_range": 16, "autosummarize": True}
    op.create_index(
        *("ix_exchange_least", "exchange", ["cost_nano_usd", sa.text(f"({ALL_TOKENS})")]),
        postgresql_using="brin",
        postgresql_with=least,
    )
    _word_pairs(BY_BEGINNING)


def downgrade() -> None:
    postgres = op.get_context().dialect.name == "postgresql"
    for name in SELDOM:
        op.drop_index(f"ix_exchange_{name}_id", "exchange")
    op.drop_index("ix_exchange_kind_id", "exchange")
    op.create_index("ix_exchange_kind_id", "exchange", ["kind", "id", "cost_nano_usd", *TOKENS])
    op.drop_index("ix_exchange_least" if postgres else "ix_exchange_all", "exchange")
    if not postgres:
        return
    for name in FILTERS:
        op.drop_index(f"ix_exchange_{name}_id", "exchange")
        op.create_index(f"ix_exchange_{name}_id", "exchange", [name, "id"])
    _word_pairs(WORD_PAIRS.WORD_PAIRS)


def _word_pairs(function: str) -> None:
    op.drop_index("ix_said_words", "said")
    op.execute(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    few = {"gin_pending_list_limit": 64}
    what = [sa.text(WORD_PAIRS.VECTOR), sa.text(WORD_PAIRS.PAIRS)]
    op.create_index("ix_said_words", "said", what, postgresql_using="gin", postgresql_with=few)
    op.execute("ALTER INDEX ix_said_words ALTER COLUMN 2 SET STATISTICS 0")
