"""The PostgreSQL of the tests, which is the benchmarks' too."""

from __future__ import annotations

from lockgate.bench.postgres import Postgres, _binaries, _initialise, _namespaces_work, _serving, running

__all__ = ["Postgres", "_binaries", "_initialise", "_namespaces_work", "_serving", "running"]
