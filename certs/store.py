"""mitmproxy's certificate store, kept to the names that the authority may sign."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from mitmproxy.certs import CertStore, CertStoreEntry

from lockgate.certs.names import permits


class LimitedStore(CertStore):
    """Leaves out of each leaf the names that would make clients refuse the whole of it.

    mitmproxy adds names that nobody asked the client to check: the server's address, which in transparent, local and
    WireGuard mode is an IP address, and all names of the server's own certificate. A client with our name constraints
    refuses a leaf for one name outside them. Where no name is left the leaf is made as asked, and refused.
    """

    def get_cert(
        self,
        commonname: str | None,
        sans: Iterable[x509.GeneralName],
        organization: str | None = None,
        crl_url: str | None = None,
    ) -> CertStoreEntry:
        asked = list(sans)
        authority = self.default_ca.to_cryptography()
        names = [name for name in asked if permits(authority, name)]
        if not names:
            return super().get_cert(commonname, x509.GeneralNames(asked), organization, crl_url)
        # Never an address as common name: OpenSSL would hold it against the constraints on DNS names.
        dns = next((name.value for name in names if isinstance(name, x509.DNSName)), None)
        return super().get_cert(dns, x509.GeneralNames(names), organization, crl_url)


def limited(store: CertStore) -> LimitedStore:
    """Wraps a store that mitmproxy has loaded; certificates that the user added with `--certs` are kept."""
    kept = LimitedStore(
        store.default_privatekey, store.default_ca, store.default_chain_file, store.default_crl, store.dhparams
    )
    kept.certs = store.certs
    return kept
