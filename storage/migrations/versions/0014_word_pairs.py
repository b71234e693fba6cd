"""PostgreSQL's search knows which words stand next to each other, as hashes in its index; and its log is smaller.

What is stored is the same. A message, and the words of a text, stay in their row as long as a page holds it: another
table for the large ones, and its index, cost more. Who follows a node is looked for by a hash of four bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

VECTOR = "array_to_tsvector(string_to_array(btrim(words), ' '))"
PAIRS = "word_pairs(words)"
WORD_PAIRS = """
CREATE FUNCTION word_pairs(words text) RETURNS smallint[] IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT array(
        SELECT ((hashtext(one || ' ' || next) & 65535) % 512)::smallint
        FROM string_to_array(btrim(words), ' ') AS word, unnest(word, word[2:]) AS pair(one, next)
        WHERE next IS NOT NULL
    )
$$
"""
"""Few hashes: as many as there are pairs would make the index twice as large. They only have to leave few of the texts
that have a phrase's words."""

IN_ROW = {"message": ("content",), "said": ("words",)}
UNASKED = {
    "message": ("content",),
    "blob": ("content",),
    "heading": ("content",),
    "comm": ("headers", "content", "envelope", "form", "digest"),
    "decision": ("given", "out"),
    "seal": ("entries", "seal"),
}
"""No search asks for these by their values: samples of them would only take room, and outlive what was removed."""
HASHES = {"message": ("hash",), "thread": ("hash", "parent", "message"), "comm": ("thread",), "said": ("message",)}
"""Spread evenly: few samples tell as much as many."""
FEW = 10


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    op.drop_index("ix_said_words", "said")
    op.execute(WORD_PAIRS)
    _index(VECTOR, PAIRS)
    op.execute("ALTER INDEX ix_said_words ALTER COLUMN 2 SET STATISTICS 0")  # as rare as PostgreSQL takes them for
    _alter(IN_ROW, "SET STORAGE MAIN")
    _alter(UNASKED, "SET STATISTICS 0")
    _alter(HASHES, f"SET STATISTICS {FEW}")
    for table, column in (("thread", "parent"), ("comm", "thread")):
        op.drop_index(f"ix_{table}_{column}", table)
        op.create_index(f"ix_{table}_{column}", table, [column], postgresql_using="hash")


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    for table, column in (("thread", "parent"), ("comm", "thread")):
        op.drop_index(f"ix_{table}_{column}", table)
        op.create_index(f"ix_{table}_{column}", table, [column])
    _alter(HASHES, "SET STATISTICS -1")
    _alter(UNASKED, "SET STATISTICS -1")
    _alter(IN_ROW, "SET STORAGE EXTENDED")
    op.drop_index("ix_said_words", "said")
    op.execute("DROP FUNCTION word_pairs(text)")
    _index(VECTOR)


def _alter(tables: Mapping[str, Sequence[str]], how: str) -> None:
    for table, columns in tables.items():
        op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER {column} {how}' for column in columns)}")


def _index(*what: str) -> None:
    few = {"gin_pending_list_limit": 64}  # kB: by itself it would leave 4 MB of new words unsorted
    op.create_index("ix_said_words", "said", [*map(sa.text, what)], postgresql_using="gin", postgresql_with=few)
