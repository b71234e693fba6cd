"""Where the log's database is, read from its URL, and how each driver wants to hear it.

Nothing here connects, and nothing heavy is imported. A password never gets into a sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from lockgate.errors import ConfigError

SQLITE_FORM = "sqlite:///relative.db, sqlite:////absolute.db"
POSTGRES_FORM = "postgresql://user@host/database"
_PASSWORD = re.compile(r"(?<=://)([^:/@?]*):(.*)@")  # greedy: a password may hold any character, even an @
_QUERY_PASSWORD = re.compile(r"(?<=[?&])((?:ssl)?password)=([^&]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database's place. `shown` is the URL without its password; `path` is the SQLite file."""

    kind: Literal["sqlite", "postgresql"]
    url: str = field(repr=False)
    shown: str
    path: Path = Path()

    @property
    def writer_url(self) -> str:
        """For SQLAlchemy's synchronous engine; where a PostgreSQL is, `engine.libpq_arguments` says."""
        return f"sqlite:///{self.path}" if self.kind == "sqlite" else "postgresql+psycopg://"

    @property
    def reader_url(self) -> str:
        """The same for the asynchronous engine; it neither makes nor changes an SQLite file."""
        if self.kind == "sqlite":
            return f"sqlite+aiosqlite:///{self.path.absolute().as_uri()}?mode=ro&uri=true"
        return "postgresql+psycopg_async://"

    @property
    def libpq_url(self) -> str:
        """For psycopg itself."""
        return "postgresql" + self.url[self.url.index("://") :]

    def clean(self, message: object) -> str:
        """A driver's words on one line, without the password should they repeat it."""
        text = " ".join(str(message).split())
        for secret in _secrets(self.url):
            text = text.replace(secret, "***")
        return text


def parse(url: str) -> Address:
    """Raises ConfigError for a URL that is neither SQLite's nor PostgreSQL's."""
    scheme, found, rest = url.partition("://")
    if scheme == "sqlite" and found:
        return Address(kind="sqlite", url=url, shown=url, path=_sqlite_path(url, rest))
    if scheme in ("postgresql", "postgres", "postgresql+psycopg") and found:
        return Address(kind="postgresql", url=url, shown=_shown(url))
    raise ConfigError(f"database {_shown(url)!r}: takes {SQLITE_FORM} or {POSTGRES_FORM}")


def _sqlite_path(url: str, rest: str) -> Path:
    if len(rest) < 2 or not rest.startswith("/") or "?" in rest or rest == "/:memory:":
        raise ConfigError(f"database {url!r}: takes a file and no options: {SQLITE_FORM}")
    return Path(rest[1:])


def _shown(url: str) -> str:
    return _QUERY_PASSWORD.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", url))


def _secrets(url: str) -> list[str]:
    found = [match[2] for pattern in (_PASSWORD, _QUERY_PASSWORD) if (match := pattern.search(url))]
    return [secret for one in found for secret in {one, unquote(one)} if secret]
