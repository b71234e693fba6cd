"""Which hosts an authority may sign, as X.509 name constraints (RFC 5280, 4.2.1.10). Nothing here does I/O.

A constraint on a DNS name covers the names below it too; the standard has no way to permit one name alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509

from lockgate.errors import ConfigError

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNLIMITED = "*"

# Without a permitted DNS name every DNS name would be permitted. RFC 6761 keeps this one from ever resolving, and Java
# cannot read the shorter way, which is to exclude the empty name.
_NO_NAME = "invalid"

_ALL_ADDRESSES = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))

_DNS_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def general_name(host: str) -> x509.DNSName | x509.IPAddress:
    """Names a host the way a certificate does: an address as its bytes, a name in lower-case ASCII.

    `*.example.com` becomes `example.com`, because a constraint covers what is below it.
    Raises ConfigError for what is neither.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return x509.DNSName(_ascii_name(host))


def _ascii_name(host: str) -> str:
    try:
        name = host.removeprefix("*.").removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if not _DNS_NAME.fullmatch(name):
        raise ConfigError(f"host {host!r} is neither a host name nor an address: write it without scheme, port or path")
    return name


def constraints_for(hosts: Iterable[str]) -> x509.NameConstraints:
    """Permits these hosts and excludes every other name and address that a server certificate can carry."""
    names = [general_name(host) for host in hosts]
    dns = dict.fromkeys(name.value for name in names if isinstance(name, x509.DNSName))
    networks = dict.fromkeys(_network(name) for name in names if isinstance(name, x509.IPAddress))
    versions = {network.version for network in networks}
    return x509.NameConstraints(
        permitted_subtrees=[*map(x509.DNSName, dns or [_NO_NAME]), *map(x509.IPAddress, networks)],
        # An address of a version that nothing is permitted for is not covered by the permitted ones.
        excluded_subtrees=[x509.IPAddress(net) for net in _ALL_ADDRESSES if net.version not in versions] or None,
    )


def _network(name: x509.IPAddress) -> Network:
    return ipaddress.ip_network(str(name.value))


def permitted_hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """Lists the DNS names and addresses that a CA certificate permits; (UNLIMITED,) where it permits every name."""
    constraints = _constraints(certificate)
    permitted = constraints.permitted_subtrees if constraints else None
    if not permitted:
        return (UNLIMITED,)
    return tuple(text for text in map(_text, permitted) if text != _NO_NAME)


def _text(name: x509.GeneralName) -> str:
    if isinstance(name, x509.IPAddress):
        return str(name.value).removesuffix("/32").removesuffix("/128")
    return str(name.value)


def permits(certificate: x509.Certificate, name: x509.GeneralName) -> bool:
    """Tells whether a client that follows a CA certificate's constraints accepts this name from it."""
    constraints = _constraints(certificate)
    if constraints is None:
        return True
    permitted = [tree for tree in constraints.permitted_subtrees or () if type(tree) is type(name)]
    excluded = [tree for tree in constraints.excluded_subtrees or () if type(tree) is type(name)]
    if any(_covers(tree, name) for tree in excluded):
        return False
    return not permitted or any(_covers(tree, name) for tree in permitted)


def _constraints(certificate: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _covers(tree: x509.GeneralName, name: x509.GeneralName) -> bool:
    match tree, name:
        case x509.DNSName(value=str(base)), x509.DNSName(value=str(host)):
            base, host = base.lower(), host.lower()
            return host == base or not base or host.endswith(f".{base.removeprefix('.')}")
        case x509.IPAddress(), x509.IPAddress():
            network = ipaddress.ip_network(str(tree.value))
            return ipaddress.ip_address(str(name.value)) in network
        case _:
            return tree == name
