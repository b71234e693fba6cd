"""The socket of the management API, taken before anything heavy is imported, so that a taken port is told at once."""

from __future__ import annotations

import socket

from lockgate.errors import ConfigError


def listen(address: str) -> socket.socket:
    """Raises ConfigError where HOST:PORT cannot be had."""
    host, _, port = address.rpartition(":")
    name = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        return socket.create_server((name, int(port)), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"the management API cannot listen on {address}: {(error.strerror or str(error)).lower()}; "
            "say another address in admin.listen"
        ) from error
