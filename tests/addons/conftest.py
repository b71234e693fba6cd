"""Fixtures that the tests of the addons share."""

from tests.upstream.proxied import tls

__all__ = ["tls"]
