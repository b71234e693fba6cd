"""Which places hold secrets. Values only."""

from __future__ import annotations

import re

from lockgate.policies.patterns import finds
from lockgate.policies.shell.model import HERE, shown
from lockgate.policies.shell.paths import Place

_SECRETS = (
    (r"(?:^|/)\.ssh/(?:id_[a-z0-9_]+|identity|[\w.-]+\.pem|[\w-]*key)$", "a private key", 0.9),
    (r"(?:^|/)\.ssh(?:/\*|/id_\S*\*|/\S*\?\S*)?$", "the folder of SSH keys", 0.8),
    (r"(?:^|/)\.aws/(?:credentials|sso|cli)|(?:^|/)\.aws(?:/\*)?$", "cloud credentials", 0.9),
    (r"(?:^|/)\.aws/config$", "cloud settings", 0.45),
    (r"^/run/secrets/|^/var/run/secrets/", "secrets of a container", 0.7),
    (r"(?:^|/)\.config/gcloud(?:/|$)|application_default_credentials\.json$", "cloud credentials", 0.85),
    (r"(?:^|/)\.azure/|(?:^|/)\.oci/|(?:^|/)\.config/doctl", "cloud credentials", 0.8),
    (r"(?:^|/)\.kube/config$|kubernetes/admin\.conf$|secrets/kubernetes\.io/serviceaccount", "cluster credentials", 0.85),
    (r"(?:^|/)\.gnupg(?:/|$)", "GPG keys", 0.85),
    (r"(?:^|/)\.(?:netrc|pgpass|my\.cnf|git-credentials|pypirc|vault-token|terraformrc)$", "stored passwords", 0.85),
    (r"^(?:~|/root|(?:/[a-z]:)?/(?:home|[Uu]sers)/[^/]+)/(?:AppData/Roaming/npm/)?\.npmrc$|(?:^|/)\.cargo/credentials|(?:^|/)\.gem/credentials|(?:^|/)\.m2/settings\.xml$", "registry tokens", 0.6),
    (r"(?:^|/)\.docker/config\.json$|(?:^|/)\.config/gh/hosts\.yml$|(?:^|/)\.terraform\.d/credentials", "stored tokens", 0.8),
    (r"^/etc/(?:shadow|gshadow|sudoers|master\.passwd|krb5\.keytab|ssl/private|ssh/ssh_host_\w+_key)", "system secrets", 0.9),
    (r"(?:^|/)\.password-store(?:/|$)|\.kdbx$|(?:^|/)Keychains/|login\.keychain", "a password store", 0.85),
    (r"Login Data|(?:^|/)logins\.json$|(?:^|/)key[34]\.db$|Cookies(?:\.sqlite)?$|cookies\.sqlite$", "browser secrets", 0.85),
    (r"(?:^|/)\.(?:bash|zsh|mysql|psql|python)_history$", "a history of commands", 0.55),
    (r"^/proc/(?:\d+|self|\*|<[^>]*>|\$\w+)/(?:environ|mem)$", "another process's secrets", 0.75),
    (r"^/dev/(?:mem|kmem|port)$", "the machine's memory", 0.8),
    (r"^/etc/wpa_supplicant/|^/etc/NetworkManager/system-connections", "passwords of networks", 0.75),
    (r"(?:^|/)wallet\.dat$|(?:^|/)\.(?:bitcoin|ethereum|electrum|solana)(?:/|$)", "a wallet", 0.9),
    (r"(?:^|/)\.claude/\.credentials\.json$|(?:^|/)\.codex/auth\.json$|(?:^|/)\.lockgate/|lockgate-ca", "an agent's credentials", 0.85),
    (r"(?:^|/)[\w.-]*(?:private|secret|server|tls|ssl)[\w.-]*\.(?:pem|key|p12|pfx|jks)$", "a private key", 0.6),
    (r"(?:^|/)(?:id_rsa|id_ed25519|id_ecdsa|id_dsa)$", "a private key", 0.9),
    (r"(?:^|/)(?:client_secret|service[-_]?account|credentials|secrets?)[\w.-]*\.(?:json|ya?ml|toml)$", "credentials", 0.45),
    (r"(?:^|/)\.env(?:\.(?:local|production|prod|staging|development|dev))?$|\.envrc$", "environment secrets", 0.45),
    (r"^/etc/passwd$", "the list of users", 0.3),
)  # fmt: skip
"""RE2 patterns of places that hold secrets, what they are, and how bad it is to read them."""


def secret(found: Place) -> tuple[str, float] | None:
    """What secret a place holds, and how bad it is to read it."""
    text = shown(found.text)
    if found.anchor == HERE and _FIXTURE.search(text):
        return None
    if text.endswith(".pub") or ".env.example" in text or not _hint(text):
        return None
    return next(((what, score) for pattern, what, score in _SECRETS if finds(pattern, text)), None)


_FIXTURE = re.compile(
    r"(?i)(?:^|/)(?:tests?|__tests__|fixtures?|testdata|examples?|samples?|mocks?|spec)/|(?:^|[/_.-])(?:fake|dummy|example|sample|test|mock)[\w-]*\.(?:pem|key|p12|json|ya?ml)$"
)
"""What a project's tests and examples hold is made up."""
_HINTS = (
    *(
        ".ssh",
        ".aws",
        ".config",
        ".azure",
        ".oci",
        ".kube",
        "kube",
        ".gnupg",
        ".netrc",
        ".pgpass",
        ".my.cnf",
        "credentials",
    ),
    *(
        ".npmrc",
        ".m2",
        ".docker",
        "/etc/",
        ".pypirc",
        "vault",
        ".terraform",
        "password",
        ".kdbx",
        "eychain",
        "Login Data",
    ),
    *(
        "logins",
        "/dev/",
        "key",
        "ookies",
        "_history",
        "/proc/",
        "wallet",
        ".bitcoin",
        ".ethereum",
        ".electrum",
        ".solana",
        ".claude",
    ),
    *(".codex", "lockgate", ".pem", ".p12", ".pfx", ".jks", "id_", "secret", "service", ".env", ".gem", ".cargo"),
)


def _hint(text: str) -> bool:
    return any(hint in text for hint in _HINTS)
