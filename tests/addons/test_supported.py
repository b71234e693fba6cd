from __future__ import annotations

import pytest

from lockgate.addons.supported import check_mitmproxy
from lockgate.errors import ConfigError


@pytest.mark.parametrize("version", ["12.2.3", "12.2.10"])
def test_a_supported_mitmproxy_is_accepted(version: str) -> None:
    assert check_mitmproxy(version) is None


@pytest.mark.parametrize("version", ["12.2.2", "11.1.3", "12.3.0", "12.3.1", "13.0.0", "12.3.0.dev"])
def test_another_mitmproxy_is_refused_by_name(version: str) -> None:
    with pytest.raises(ConfigError, match=rf"mitmproxy {version} is installed.*>=12\.2\.3,<12\.3"):
        check_mitmproxy(version)
