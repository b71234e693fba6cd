"""Name constraints say the same to us as to OpenSSL."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from mitmproxy.certs import CertStore

from lockgate.certs.ca import open_authority
from lockgate.certs.names import constraints_for, general_name
from lockgate.certs.store import limited
from lockgate.errors import ConfigError
from tests.certs.handshake import accepted

NAMES_ONLY = ("api.anthropic.com", "llm.example.com")
ADDRESSES_ONLY = ("10.1.2.3",)
BOTH = ("llm.example.com", "10.1.2.3", "fd00::1")


@pytest.mark.parametrize(
    ("hosts", "name", "expected"),
    [
        (NAMES_ONLY, "api.anthropic.com", True),
        (NAMES_ONLY, "llm.example.com", True),
        (NAMES_ONLY, "below.llm.example.com", True),
        (NAMES_ONLY, "example.com", False),
        (NAMES_ONLY, "evil-llm.example.com", False),
        (NAMES_ONLY, "10.1.2.3", False),
        (NAMES_ONLY, "fd00::1", False),
        (ADDRESSES_ONLY, "10.1.2.3", True),
        (ADDRESSES_ONLY, "10.1.2.4", False),
        (ADDRESSES_ONLY, "fd00::1", False),
        (ADDRESSES_ONLY, "llm.example.com", False),
        (BOTH, "llm.example.com", True),
        (BOTH, "10.1.2.3", True),
        (BOTH, "fd00::1", True),
        (BOTH, "fd00::2", False),
        (BOTH, "10.1.2.4", False),
        (BOTH, "www.example.net", False),
        ((), "www.example.net", False),
        ((), "10.1.2.3", False),
        (("*.example.com",), "llm.example.com", True),
        (("LLM.Example.com.",), "llm.example.com", True),
        (("bücher.example",), "xn--bcher-kva.example", True),
    ],
)
def test_what_the_authority_permits_is_what_a_client_accepts(
    hosts: tuple[str, ...], name: str, expected: bool, tmp_path: Path
) -> None:
    authority = open_authority(tmp_path / "ca", hosts)
    store = limited(CertStore.from_store(authority.folder, "mitmproxy", 2048))
    entry = store.get_cert(name, [general_name(name)])

    assert expected == authority.permits(name)
    assert expected == accepted(entry, name, authority.certificate_path, tmp_path)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [(BOTH, BOTH), (("a.example", "A.EXAMPLE"), ("a.example",)), (ADDRESSES_ONLY, ADDRESSES_ONLY)],
)
def test_the_hosts_are_read_back(hosts: tuple[str, ...], expected: tuple[str, ...], tmp_path: Path) -> None:
    assert expected == open_authority(tmp_path / "ca", hosts).hosts


@pytest.mark.parametrize(
    "host",
    ["https://llm.example.com", "llm.example.com:8443", "llm.example.com/v1", "two words", "", "*", "a..b", "-a.b"],
)
def test_what_is_no_host_is_named(host: str) -> None:
    with pytest.raises(ConfigError, match=r"neither a host name nor an address: write it without scheme, port or path"):
        constraints_for([host])


def test_addresses_are_excluded_where_only_names_are_permitted() -> None:
    excluded = constraints_for(NAMES_ONLY).excluded_subtrees or []

    assert [str(tree.value) for tree in excluded if isinstance(tree, x509.IPAddress)] == ["0.0.0.0/0", "::/0"]
