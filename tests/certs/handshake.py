"""One handshake in memory: does OpenSSL, as Python brings it, accept a leaf for a host?"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from mitmproxy.certs import CertStoreEntry


def accepted(entry: CertStoreEntry, host: str, roots: Path, folder: Path) -> bool:
    """Tells whether a client that trusts `roots` goes on to talk to `host` when it is shown this leaf."""
    leaf = folder / "leaf.pem"
    key = entry.privatekey.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    leaf.write_bytes(entry.cert.to_pem() + key)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(leaf)
    client_side = ssl.create_default_context(cafile=str(roots))
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    try:
        return _shake(client) or _shake(server) or _shake(client)
    except ssl.SSLCertVerificationError:
        return False


def _shake(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
