"""The PostgreSQL of the tests, which is the benchmarks' too."""

from __future__ import annotations

from lockgate.bench.postgres import (
    SETTINGS,
    Postgres,
    as_user,
    binaries_for,
    initialise,
    namespaces_work,
    running,
    serving,
)

__all__ = ["SETTINGS", "Postgres", "as_user", "binaries_for", "initialise", "namespaces_work", "running", "serving"]
