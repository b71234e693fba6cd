"""Ids as people give them: whole, or only the beginning or end of one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Text, cast, func, or_

from lockgate.errors import Error

SHORTEST_ID = 6
"""Hexadecimal digits of an id that are enough to ask for it."""
SHOWN_CANDIDATES = 8


def digits_of(id: str, *, shortest: int = 32, of: str) -> str:
    """The hexadecimal digits of an id or a part of one. Raises Error."""
    digits = id.strip(" …").replace("-", "").lower()
    if not (shortest <= len(digits) <= 32 and re.fullmatch("[0-9a-f]+", digits)):
        raise Error(f"{id!r} is not the id of {of}: give {shortest} to 32 hexadecimal digits of it")
    return digits


def fits(column: ColumnElement[str], id: str, *, of: str) -> ColumnElement[bool]:
    """That the column is this id, or begins or ends so. Raises Error for what is no part of an id."""
    digits = digits_of(id, shortest=SHORTEST_ID, of=of)
    begins = column.between(digits.ljust(32, "0"), digits.ljust(32, "f"))
    if len(digits) == 32:
        return begins
    return or_(begins, func.replace(cast(column, Text), "-", "").like(f"%{digits}"))  # an end looks at every id


def require_one(id: str, found: Sequence[str], *, of: str) -> None:
    """Raises Error where several were found, and names them: `of` is their plural."""
    if len(found) > 1:
        raise Error(f"{id!r} fits several {of}: {', '.join(found)}; give more digits of the one you mean")
