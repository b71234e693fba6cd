"""The one variable that a JVM reads: it knows neither the proxy variables nor PEM files."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from lockgate import files
from lockgate.certs.ca import trust_store

VARIABLE = "JAVA_TOOL_OPTIONS"

_BLOCK_END = b"-----END CERTIFICATE-----"


def java_options(proxy_url: str, no_proxy: Iterable[str], bundle: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Gives JVMs the proxy and a trust store made from the bundle; nothing where the child has no Java to run.

    Every JVM prints a line about the variable on standard error, so machines without Java are spared it. The
    credentials of a proxy URL stay out of that line: a JVM would not send them anyway.
    """
    if not (environ.get("JAVA_HOME") or shutil.which("java", path=environ.get("PATH"))):
        return {}
    proxy, users = urlsplit(proxy_url), environ.get(VARIABLE, "")
    options = [
        option
        for scheme in ("https", "http")
        for option in (f"-D{scheme}.proxyHost={proxy.hostname}", f"-D{scheme}.proxyPort={proxy.port}")
    ]
    options.append(f"-Dhttp.nonProxyHosts={'|'.join(_non_proxy_hosts(no_proxy))}")
    if "-Djavax.net.ssl.trustStore=" not in users:  # a store that the user chose is his to extend
        store = shlex.quote(str(_trust_store(bundle)))
        options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=PKCS12"]
    return {VARIABLE: " ".join([*([users] if users else []), *options])}  # of two equal options the last counts


def _non_proxy_hosts(no_proxy: Iterable[str]) -> Iterable[str]:
    for entry in no_proxy:
        name = entry.lstrip("*.")
        if ":" in name:
            yield f"[{name.strip('[]')}]"
        elif "/" not in name:  # a range of addresses has no form here
            yield name
            yield f"*.{name}"


def _trust_store(bundle: Path) -> Path:
    """Writes the bundle as a trust store named after its content, because two encodings of it are never the same."""
    pem = bundle.read_bytes()
    path = bundle.with_name(f"trust-{hashlib.sha256(pem).hexdigest()[:12]}.p12")
    if not path.exists():
        files.replace(path, trust_store(_readable(pem)), mode=0o644)
    return path


def _readable(pem: bytes) -> list[x509.Certificate]:
    """Leaves out the roots that the library does not read: systems ship some that break the standard."""
    certificates: list[x509.Certificate] = []
    with warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
        for block in pem.split(_BLOCK_END)[:-1]:
            with suppress(ValueError):
                certificates.append(x509.load_pem_x509_certificate(block + _BLOCK_END))
    return certificates
