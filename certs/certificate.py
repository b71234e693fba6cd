"""A new authority's key and certificate. Nothing here does I/O.

mitmproxy signs every leaf for the key of the authority itself, so that key serves the handshakes too. P-256 is the key
that all clients accept and that signs a handshake at a tenth of the cost of RSA 2048, or less.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockgate.certs.names import constraints_for

_VALIDITY = timedelta(days=730)
_BACKDATED = timedelta(days=2)  # for clients whose clocks are behind; mitmproxy gives its leaves as much


def new_authority(hosts: Iterable[str]) -> bytes:
    """Makes a key and a certificate that may sign these hosts, as one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, hosts)
    pem = serialization.Encoding.PEM
    return key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(pem)


def _certificate(key: ec.EllipticCurvePrivateKey, hosts: Iterable[str]) -> x509.Certificate:
    name, begin, public_key = _subject(), datetime.now(UTC) - _BACKDATED, key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_ONLY, critical=True)
        .add_extension(constraints_for(hosts), critical=True)
        # Nothing but servers: no code, no mail, no client certificates.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,  # mitmproxy signs an empty revocation list with it
    encipher_only=False,
    decipher_only=False,
)


def _subject() -> x509.Name:
    """Names machine and moment of making: clients look issuers up by name, so two authorities never share one."""
    machine = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname().partition(".")[0])[:32]
    name = f"Lockgate CA ({f'{machine} {secrets.token_hex(3)}'.strip()})"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
