"""PostgreSQL's search: which words stand next to each other, as hashes in the index of the words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

VECTOR = "array_to_tsvector(string_to_array(btrim(words), ' '))"
PAIRS = "word_pairs(words)"
WORD_PAIRS = """
CREATE FUNCTION word_pairs(words text) RETURNS smallint[] IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT array(
        SELECT (hashtext(one || ' ' || next) & 1023)::smallint
        FROM string_to_array(btrim(words), ' ') AS word, unnest(word, word[2:]) AS pair(one, next)
        WHERE next IS NOT NULL
    )
$$
"""
"""A thousand hashes: as many as there are pairs would make the index twice as large. They only have to leave few of
the texts that have a phrase's words."""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    op.drop_index("ix_said_words", "said")
    op.execute(WORD_PAIRS)
    _index(VECTOR, PAIRS)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    op.drop_index("ix_said_words", "said")
    op.execute("DROP FUNCTION word_pairs(text)")
    _index(VECTOR)


def _index(*what: str) -> None:
    few = {"gin_pending_list_limit": 64}  # kB: by itself it would leave 4 MB of new words unsorted
    op.create_index("ix_said_words", "said", [*map(sa.text, what)], postgresql_using="gin", postgresql_with=few)
