"""Fixtures that the tests of recordings share."""

from __future__ import annotations

import pytest

from tests.recorded.recordings import NAMES, Recording, load
from tests.upstream.proxied import tls

__all__ = ["recording", "tls"]


@pytest.fixture(params=NAMES)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Every recording in turn."""
    return load(request.param)
