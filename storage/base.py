"""What all tables share: the names of their constraints, and the column types of what they hold."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, MetaData, Text
from sqlalchemy.orm import DeclarativeBase

from lockgate.storage.columns import AnyText, UtcTime

type Word = str
"""Text that Lockgate itself or its operator wrote; a plain `str` may hold whatever a client or a provider sends."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={  # the same names on both databases, so that a later migration can name what it changes
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: AnyText(), Word: Text(), datetime: UtcTime(), float: Float()}  # noqa: RUF012
