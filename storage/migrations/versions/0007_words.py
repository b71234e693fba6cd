"""PostgreSQL's search: the words of a text in their order, instead of a vector that holds the places of each.

What is packed from here on may need `lockgate.storage.packing.DICTIONARY`, which an earlier Lockgate does not have.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0007"
down_revision = "0006"

VECTOR = "array_to_tsvector(string_to_array(btrim(words), ' '))"
IN_ORDER = """
CREATE FUNCTION pg_temp.in_order(vector tsvector) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT ' ' || coalesce(string_agg(gap || lexeme, ' ' ORDER BY place), '') || ' ' FROM (
        SELECT lexeme, place,
            CASE WHEN place > 1 + lag(place, 1, 0::smallint) OVER (ORDER BY place) THEN '- ' ELSE '' END AS gap
        FROM unnest(vector), unnest(positions) AS place
    ) AS placed
$$
"""
"""A vector forgets where a word comes for the 256th time: a dash, which is no word, parts what stood around it."""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    op.drop_index("ix_said_words", "said")
    op.execute(IN_ORDER)
    op.alter_column("said", "words", type_=sa.Text(), postgresql_using="pg_temp.in_order(words)")
    op.execute("DROP FUNCTION pg_temp.in_order(tsvector)")
    _index(VECTOR)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    op.drop_index("ix_said_words", "said")
    op.alter_column("said", "words", type_=TSVECTOR(), postgresql_using="to_tsvector('simple', words)")
    _index("words")


def _index(what: str) -> None:
    few = {"gin_pending_list_limit": 64}  # kB: by itself it would leave 4 MB of new words unsorted
    op.create_index("ix_said_words", "said", [sa.text(what)], postgresql_using="gin", postgresql_with=few)
