"""Texts in options that are more than any text: a folder, a host. What could never apply is refused when it is read."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any

from pydantic import AfterValidator

from lockgate.config import Section

_HOST = re.compile(r"(?:\*|[\w*?-]+(?:\.[\w*?-]+)*\.?|[0-9A-Fa-f:.*]+)")


def _folder(value: str) -> str:
    if value and not (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
        raise ValueError(f"{value[:100]!r} is not absolute; write it from the root on, such as /srv/project")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value[:100]!r} is no host; write one without scheme, port and path, such as *.example.com")
    return value


def doing[Options: Section](options: Options, *names: str, off: Collection[Any]) -> Options:
    """The options. Raises ValueError where all of these are off: their rule would do nothing, whatever was meant."""
    if all(getattr(options, name) in off for name in names):
        raise ValueError(f"as it stands it does nothing: give one of {', '.join(names)}")
    return options


type Folder = Annotated[str, AfterValidator(_folder)]
"""An absolute path; "" where none is given."""
type HostPattern = Annotated[str, AfterValidator(_host)]
"""A host's name or address; `*` stands for any characters."""
