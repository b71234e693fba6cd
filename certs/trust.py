"""What a child process is given so that its model traffic goes through Lockgate and trusts its authority.

Only model hosts are ever shown a certificate of the authority; every other host is tunnelled. So programs that talk to
no model host, such as pip and cargo, need no variable of their own. Nothing here starts or asks a process.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from pathlib import Path

import certifi

from lockgate import files
from lockgate.certs.ca import Authority
from lockgate.certs.java import java_options
from lockgate.certs.names import UNLIMITED

# Both cases: curl reads only the small one of http_proxy, others only the capital ones.
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")

# Taken away, because a client that prefers one of them would pass Lockgate by: websockets (Python) prefers the first
# two for a wss:// address, and what else they are for is covered by the four above.
BYPASSING_VARIABLES = tuple(
    spelling for name in ("WSS_PROXY", "SOCKS_PROXY", "ALL_PROXY") for spelling in (name, name.lower())
)

# Each replaces the client's own roots, so each is given those roots and the authority. A user's SSL_CERT_DIR stays as
# it is: whoever reads it reads SSL_CERT_FILE too.
REPLACING_VARIABLES = {
    "SSL_CERT_FILE": "OpenSSL and so Python, Ruby, PHP, .NET; Go; Rust's native roots; httpx and uv; Bun",
    "NIX_SSL_CERT_FILE": "OpenSSL and curl as built by Nix, where it wins over SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE": "requests, whose roots are certifi's otherwise",
    "CURL_CA_BUNDLE": "curl where it is built without OpenSSL; requests as its second choice",
    "CODEX_CA_CERTIFICATE": "Codex, where it wins over SSL_CERT_FILE",
    "GIT_SSL_CAINFO": "git, whose libcurl is mostly built with GnuTLS and reads no other",
    "AWS_CA_BUNDLE": "botocore and the AWS CLI, for a model host at Bedrock",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "gRPC, which Google's older clients speak to the generative endpoint",
    "HTTPLIB2_CA_CERTS": "httplib2, which Google's discovery client stands on",
}

# Each is added to the client's own roots, so each is given the authority alone, or the user's file and the authority.
ADDING_VARIABLES = {
    "NODE_EXTRA_CA_CERTS": "Node; Claude Code and opencode (Bun)",
    "DENO_CERT": "Deno",
}

LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Where systems keep their roots, for a Python whose OpenSSL was built to look elsewhere: Debian and Alpine, Fedora,
# openSUSE, macOS and the BSDs.
_SYSTEM_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

# Nothing else is copied from a user's file: one may hold a key beside its certificates.
_CERTIFICATE = re.compile(rb"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEnvironment:
    """The whole environment of a child, and what of the user's own was taken away so that nothing passes unseen."""

    variables: Mapping[str, str]
    exempted: tuple[str, ...]  # entries of NO_PROXY that cover a model host
    removed: tuple[str, ...]  # names of variables that lead past Lockgate


def bundle(authority: Authority, folder: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Writes the roots that clients trust already and the authority into one PEM file, and gives its path.

    The roots are those that SSL_CERT_FILE names, else the system's, else certifi's.
    """
    named = environ.get("SSL_CERT_FILE")
    built_in = ssl.get_default_verify_paths().openssl_cafile
    candidates = [*([named] if named else []), built_in, *_SYSTEM_ROOTS]
    roots = next((path for path in map(Path, candidates) if _certificates(path)), Path(certifi.where()))
    return _with_authority(roots, authority, folder)


def client_environment(
    proxy_url: str,
    authority: Authority,
    bundle: Path,
    environ: Mapping[str, str],
    *,
    hosts: Iterable[str] | None = None,
) -> ClientEnvironment:
    """Gives the environment in which a child's model traffic goes through the proxy and trusts the authority.

    Files that it needs besides are written beside the bundle. `hosts` are the model hosts, by default those that the
    authority may sign: no entry of the user's NO_PROXY that covers one of them is kept.
    """
    given = dict.fromkeys(_no_proxy_entries(environ))
    model_hosts = tuple(authority.hosts if hosts is None else hosts)
    entries = [entry for entry in dict.fromkeys((*LOOPBACK, *given)) if not _exempts(entry, model_hosts)]
    removed = tuple(name for name in BYPASSING_VARIABLES if environ.get(name))
    variables = {name: value for name, value in environ.items() if name not in BYPASSING_VARIABLES}
    variables |= dict.fromkeys(PROXY_VARIABLES, proxy_url)
    variables |= dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(entries))
    variables["NODE_USE_ENV_PROXY"] = "1"  # Node reads none of the proxy variables without it
    variables |= _trust_variables(authority, bundle, environ)
    variables |= java_options(proxy_url, entries, bundle, environ)
    exempted = tuple(entry for entry in given if entry not in entries)
    return ClientEnvironment(variables=variables, exempted=exempted, removed=removed)


def _trust_variables(authority: Authority, bundle: Path, environ: Mapping[str, str]) -> dict[str, str]:
    defaults = dict.fromkeys(REPLACING_VARIABLES, bundle) | dict.fromkeys(ADDING_VARIABLES, authority.certificate_path)
    users = {Path(environ[name]) for name in defaults if environ.get(name)}  # mostly one file under several names
    extended = {path: _with_authority(path, authority, bundle.parent) for path in users if _certificates(path)}
    return {name: str(extended.get(Path(environ.get(name, "")), ours)) for name, ours in defaults.items()}


def _with_authority(roots: Path, authority: Authority, folder: Path) -> Path:
    """Writes what `roots` holds and the authority to a file in the folder that is named after `roots`."""
    theirs, ours = _certificates(roots), _certificates(authority.certificate_path)
    if roots.parent == folder and set(ours) <= set(theirs):
        return roots  # a Lockgate inside a Lockgate
    path = folder / f"trust-{hashlib.sha256(os.fsencode(roots.absolute())).hexdigest()[:12]}.pem"
    files.replace(path, b"\n".join(dict.fromkeys((*theirs, *ours))) + b"\n", mode=0o644)
    return path


def _certificates(path: Path) -> list[bytes]:
    """Reads the PEM certificates of a file, or of a folder's files; none where it cannot be read."""
    try:
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        return [match[0] for file in found if file.is_file() for match in _CERTIFICATE.finditer(file.read_bytes())]
    except OSError:
        return []


def _no_proxy_entries(environ: Mapping[str, str]) -> list[str]:
    both = f"{environ.get('NO_PROXY', '')},{environ.get('no_proxy', '')}"
    return [entry for entry in re.split(r"[,\s]+", both) if entry]


def _exempts(entry: str, hosts: Iterable[str]) -> bool:
    """Tells whether any client would take this entry of NO_PROXY to cover one of the hosts.

    Clients differ, so the widest reading counts: a plain suffix (wget), a glob (Node), a range of addresses (curl, Go).
    """
    return any(_covers(entry.lower(), host.lower()) for host in hosts)


def _covers(entry: str, host: str) -> bool:
    if host == UNLIMITED:
        return entry not in LOOPBACK
    entry = re.sub(r":\d+$", "", entry) if entry.count(":") == 1 or "]" in entry else entry
    entry, host = entry.strip("[]"), host.strip("[]")
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        bare = host.removeprefix("*.")
        return fnmatchcase(bare, entry) or bare.endswith(entry.lstrip("*.")) or (bare != host and entry.endswith(bare))
