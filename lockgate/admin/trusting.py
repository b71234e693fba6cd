"""What clients are told so that they go through the proxy and trust its authority: text to be copied. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

ROOTS = "roots.pem"
CERTIFICATE = "lockgate-ca.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What one kind of client needs."""

    client: str
    text: str
    """Lines for a shell, or what to do by hand."""
    is_shell: bool = True


def instructions(*, proxy: str, certificate: str = CERTIFICATE, token: bool = False) -> list[Instruction]:
    """`proxy` is HOST:PORT; `certificate` a path on the client's machine; with `token`, the proxy wants one."""
    address = f"http://lockgate:TOKEN@{proxy}" if token else f"http://{proxy}"
    through = f"export HTTPS_PROXY={address}"
    node = f"{through}\nexport NODE_EXTRA_CA_CERTS={certificate}"
    host, _, port = proxy.rpartition(":")
    java = (
        f"lockgate cert export --format p12 --output lockgate.p12\n"
        f"java -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} -Djavax.net.ssl.trustStore=lockgate.p12 …"
    )
    shells = {
        "Roots: the system's and ours, for clients whose variable replaces their own": (
            f"cat /etc/ssl/certs/ca-certificates.crt {certificate} > {ROOTS}"
        ),
        "Claude Code, opencode, Gemini CLI, Qwen Code, Copilot CLI": node,
        "Codex": f"{through}\nexport CODEX_CA_CERTIFICATE={ROOTS}",
        "Node: openai, @anthropic-ai/sdk, @google/genai": f"{node}\nexport NODE_USE_ENV_PROXY=1",
        "Python: openai, anthropic, google-genai, litellm, aider": f"{through}\nexport SSL_CERT_FILE={ROOTS}",
        "Python: requests": f"{through}\nexport REQUESTS_CA_BUNDLE={ROOTS}",
        "curl": f"curl --proxy {address} --cacert {ROOTS} https://api.anthropic.com/",
        "Go, Rust, Ruby, OpenSSL": f"{through}\nexport SSL_CERT_FILE={ROOTS}",
        "git": f"{through}\nexport GIT_SSL_CAINFO={ROOTS}",
        "Java": java,
        "Debian, Ubuntu: the whole system": (
            f"sudo cp {certificate} /usr/local/share/ca-certificates/lockgate.crt\nsudo update-ca-certificates"
        ),
        "macOS: the whole system": (
            f"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {certificate}"
        ),
    }
    return [
        *(Instruction(client=client, text=text) for client, text in shells.items()),
        Instruction(client="Firefox", text=_firefox(proxy), is_shell=False),
        Instruction(client="Chrome, Chromium, Edge", text=_chrome(proxy), is_shell=False),
    ]


def _firefox(proxy: str) -> str:
    return (
        "Download the certificate. In the settings, under Privacy & Security, Certificates, View Certificates, "
        "Authorities, import it for websites. Under General, Network Settings, set the HTTPS proxy to "
        f"{proxy}."
    )


def _chrome(proxy: str) -> str:
    return (
        "Download the certificate. In the settings, under Privacy and security, Security, Manage certificates, import "
        f"it as a trusted root. The proxy is the system's, or the option --proxy-server=http://{proxy}."
    )
