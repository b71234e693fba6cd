"""What clients, models and people wrote, for people to read, with what could play tricks on them spelled out."""

from __future__ import annotations

import re
from datetime import datetime

from lockgate.storage.answers import Marks

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with what would steer a terminal, or turn its lines round, spelled out."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


def time_of(moment: datetime) -> str:
    """In the local zone, to the second."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def labels_of(marks: Marks | None) -> str:
    """Labels of an exchange and, marked, of its session; a star stands for notes."""
    if marks is None:
        return ""
    session = (f"{name} (session)" for name in marks.session_labels)
    return ", ".join((*marks.labels, *session, *(["*"] if marks.notes else [])))
