"""mitmproxy makes leaves that clients with our constraints accept, whatever names it has gathered."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import CertStore
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.context import Context
from mitmproxy.test import taddons

from lockgate.certs.ca import Authority, open_authority
from lockgate.certs.names import general_name
from lockgate.certs.store import LimitedStore, limited
from tests.certs.handshake import accepted

HOST = "api.anthropic.com"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "ca", [HOST])


@pytest.fixture
def store(authority: Authority) -> LimitedStore:
    return limited(CertStore.from_store(authority.folder, "mitmproxy", 2048))


@pytest.mark.parametrize("others", [["160.79.104.10"], ["*.anthropic.com", "anthropic.com"], ["2607:6bc0::10", "a.b"]])
def test_names_that_the_authority_may_not_sign_are_left_out(
    store: LimitedStore, authority: Authority, others: list[str], tmp_path: Path
) -> None:
    asked = [*map(general_name, others), general_name(HOST)]

    entry = store.get_cert(others[0], asked)

    assert [name.value for name in entry.cert.altnames] == [HOST]
    assert entry.cert.cn == HOST
    assert accepted(entry, HOST, authority.certificate_path, tmp_path)
    stock = CertStore.from_store(authority.folder, "mitmproxy", 2048).get_cert(others[0], asked)
    assert not accepted(stock, HOST, authority.certificate_path, tmp_path)


def test_a_leaf_with_no_permitted_name_is_made_as_asked_and_refused(
    store: LimitedStore, authority: Authority, tmp_path: Path
) -> None:
    entry = store.get_cert("www.example.net", [x509.DNSName("www.example.net")])

    assert not accepted(entry, "www.example.net", authority.certificate_path, tmp_path)


def test_leaves_are_kept(store: LimitedStore) -> None:
    first = store.get_cert("10.0.0.1", [general_name("10.0.0.1"), general_name(HOST)])

    assert first is store.get_cert(HOST, [general_name(HOST)])


async def test_mitmproxy_takes_the_folder_as_it_is(authority: Authority, tmp_path: Path) -> None:
    """In transparent mode, where mitmproxy adds the address that it connects to."""
    before = {path.name: path.read_bytes() for path in authority.folder.iterdir()}
    addon = TlsConfig()
    with taddons.context(addon) as context:
        context.configure(addon, confdir=str(authority.folder))
        client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0.0, sni=HOST)
        connection = Context(client, context.options)
        connection.server = Server(address=("160.79.104.10", 443))
        addon.certstore = limited(addon.certstore)
        entry = addon.get_cert(connection)

    assert before == {path.name: path.read_bytes() for path in authority.folder.iterdir()}
    assert authority.fingerprint == addon.certstore.default_ca.fingerprint().hex()
    assert accepted(entry, HOST, authority.certificate_path, tmp_path)
