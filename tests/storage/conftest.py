"""Fixtures for tests of the log."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate.storage import schema
from lockgate.storage.log import SqlLog
from tests.storage.logs import OwnServer, Pair, Said


@pytest.fixture
def start() -> Callable[..., SqlLog]:
    """Makes the database and starts a log on it."""

    def started(url: str, **options: Any) -> SqlLog:
        schema.upgrade(url)
        log = SqlLog(url, **options)
        log.start()
        return log

    return started


@pytest.fixture
def said() -> Iterator[Said]:
    handler = Said()
    logger = logging.getLogger("lockgate.log")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def own_server(server_folder: Path) -> OwnServer:
    return OwnServer(server_folder)


@pytest.fixture
def pair(server_folder: Path) -> Pair:
    return Pair(server_folder)


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """Short, and not in pytest's folder: see `running` in bench/postgres.py."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-pg-"))
    yield folder
    shutil.rmtree(folder)
