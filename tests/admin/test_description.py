"""The API does what its description says: cases are made from it, and sent over ASGI."""

from __future__ import annotations

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from lockgate.admin.app import make_app, openapi
from lockgate.admin.opening import open_desk
from lockgate.config import Config
from lockgate.parts import Parts
from lockgate.storage import schema
from lockgate.storage.administrators import Administrators
from tests.admin.desks import BASE, RING, a_proxy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8
EVERYTHING = tuple(HealthCheck)


@pytest.mark.filterwarnings("ignore")  # of what makes the cases
def test_every_operation_answers_as_described(sqlite_url: str, tmp_path: Path):
    schema.upgrade(sqlite_url)
    with Administrators(sqlite_url, RING) as people:
        people.create("ada", "admin")
        key, _ = people.add_key("ada")
    config = Config(database=sqlite_url, home=tmp_path, admin={"listen": "127.0.0.1:8081"})  # pyright: ignore[reportArgumentType]
    with ThreadPoolExecutor(1) as thread:
        parts = Parts()
        desk = open_desk(config, RING, thread, a_proxy(), parts)
        asyncio.run(desk.activity.close())  # its stream would not end
        app = make_app(desk)
        described: Any = schemathesis.openapi.from_dict(openapi(app))
        described.app = app
        seen: set[int] = set()
        tried = [_tried(found.ok(), key, seen) for found in described.get_all_operations()]
        asyncio.run(parts.close())
    assert len(tried) > 20
    assert {200, 201, 404, 422} <= seen
    assert 421 not in seen


def _tried(operation: Any, key: str, seen: set[int]) -> str:
    """The operation, after many requests that fit its description or do not."""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=EVERYTHING)
    @given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        headers = {"authorization": f"Bearer {key}", "host": "127.0.0.1:8081"}
        seen.add(case.call_and_validate(base_url=BASE, headers=headers, checks=CHECKS).status_code)

    answers()
    return operation.label
