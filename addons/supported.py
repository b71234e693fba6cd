"""Which mitmproxy the stream's seam is proven on."""

from __future__ import annotations

import re

from mitmproxy import version

from lockgate.errors import ConfigError

SUPPORTED = ">=12.2.3,<12.3"  # 12.3 is not admitted: docs/design.md says why


def check_mitmproxy(installed: str = version.VERSION) -> None:
    """ConfigError unless this is a mitmproxy that the seam is proven on."""
    found = tuple(int(part) for part in re.findall(r"\d+", installed)[:3])
    if not (12, 2, 3) <= found < (12, 3):
        raise ConfigError(
            f"mitmproxy {installed} is installed, but Lockgate streams through {SUPPORTED} only; "
            f"install one of those: pip install 'mitmproxy{SUPPORTED}'"
        )
