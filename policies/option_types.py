"""Texts in options that are more than any text: a folder, a host. What could never apply is refused when it is read."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator

_HOST = re.compile(r"(?:\*|[\w*?-]+(?:\.[\w*?-]+)*\.?|[0-9A-Fa-f:.*]+)")


def _folder(value: str) -> str:
    if value and not (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
        raise ValueError(f"{value[:100]!r} is not absolute; write it from the root on, such as /srv/project")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value[:100]!r} is no host; write one without scheme, port and path, such as *.example.com")
    return value


type Folder = Annotated[str, AfterValidator(_folder)]
"""An absolute path; "" where none is given."""
type HostPattern = Annotated[str, AfterValidator(_host)]
"""A host's name or address; `*` stands for any characters."""
