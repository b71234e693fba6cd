"""Beginnings: SQLite's index of words knows what texts have by their first letter and their first two.

Without, it would gather all places of all words that begin so. An index that has texts stays as it is, since it keeps
none of them to be made of anew: it finds the same, short beginnings slower.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

FTS5 = "CREATE VIRTUAL TABLE said_fts USING fts5 (text, content='', tokenize='unicode61 remove_diacritics 0'{more})"


def upgrade() -> None:
    _make(", prefix='1 2'")


def downgrade() -> None:
    _make("")


def _make(more: str) -> None:
    if op.get_context().dialect.name != "sqlite":
        return
    if op.get_bind().execute(sa.text("SELECT 1 FROM said LIMIT 1")).first() is None:
        op.execute("DROP TABLE said_fts")
        op.execute(FTS5.format(more=more))
