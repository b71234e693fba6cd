"""Moments, lengths of time and sums of money, as people write them. No I/O."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from lockgate.errors import Error
from lockgate.records import now

_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, at: datetime | None = None) -> datetime:
    """A time, or so long before `at`, which is now: 90s, 30m, 2h, 7d, 1w. Without a zone it is the local time."""
    try:
        if _SPAN.fullmatch(text.strip().lower()):
            return (at or now()) - span(text)
    except OverflowError as error:
        raise Error(f"{text!r} is longer ago than there are years") from error
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise Error(f"{text!r} is no time: give 30m, 2h, 7d, 2026-11-21 or 2026-11-21T09:30") from error


def span(text: str) -> timedelta:
    """So long: 90s, 30m, 2h, 7d, 1w. Raises Error for what is none, OverflowError for one that is too long."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise Error(f"{text!r} is no length of time: give 90s, 30m, 2h, 7d or 1w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def nano_usd(text: str) -> int:
    """A sum in US dollars, `$` in front or not, in nano-dollars."""
    try:
        return int(Decimal(text.strip().removeprefix("$")) * 10**9)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise Error(f"{text!r} is no sum: give dollars, such as 0.25") from error
