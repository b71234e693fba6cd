"""How to run each real client by itself: non-interactively, in a home of its own, with a credential that is made up.

An agent is told nothing about a proxy: who starts it adds that, `lockgate run` or `through` below.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients import codex_home, install
from tests.upstream.received import Format

SCRIPTS = Path(__file__).parent / "scripts"
CLAUDE_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "IS_SANDBOX": "1",  # without it, it refuses to skip permissions as root
}
ANTHROPIC_KEY = {"ANTHROPIC_API_KEY": "sk-ant-api03-made-up-for-tests"}
OPENAI_KEY = {"OPENAI_API_KEY": "sk-made-up-for-tests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A client that runs the shell commands that its model asks for, and prints the model's last words.

    `command(prompt)` is its command line; `environment(home)` all its variables, once `home` has been made ready.
    """

    name: str
    host: str  # where its exchanges go
    format: Format
    command: Callable[[str], list[str]]
    environment: Callable[[Path], dict[str, str]]

    def __str__(self) -> str:
        return self.name


def through(proxy_url: str, ca_file: Path) -> dict[str, str]:
    """The variables that lead any of the agents through a proxy whose servers' certificates are signed by this CA."""
    proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy_url)
    trust = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CODEX_CA_CERTIFICATE"), str(ca_file))
    return proxy | trust | {"NODE_USE_ENV_PROXY": "1"}


def _basics(home: Path) -> dict[str, str]:
    """No variable of the developer's own gets through, such as a key or a proxy."""
    home.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1,localhost"}


def claude() -> Agent:
    """Claude Code."""
    return Agent(
        name="claude",
        host="api.anthropic.com",
        format="anthropic",
        command=lambda prompt: [str(install.claude_binary()), "-p", prompt, "--dangerously-skip-permissions"],
        environment=lambda home: _basics(home) | ANTHROPIC_KEY | CLAUDE_QUIET,
    )


def codex(model: str, *, login: bool = False) -> Agent:
    """Codex with an API key or a ChatGPT login; the model decides between functions and a tool that takes JavaScript.

    With a login it sends its requests to another host and compresses them with zstd.
    """
    options = ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")

    def environment(home: Path) -> dict[str, str]:
        variables = _basics(home) | {"CODEX_HOME": str(home / ".codex")}
        codex_home.configure(home / ".codex", model)
        if login:
            codex_home.log_in(home / ".codex")
            return variables
        return variables | OPENAI_KEY | {"CODEX_API_KEY": OPENAI_KEY["OPENAI_API_KEY"]}

    return Agent(
        name=f"codex-{model}{'-login' if login else ''}",
        host="chatgpt.com" if login else "api.openai.com",
        format="responses",
        command=lambda prompt: [str(install.codex_binary()), *options, prompt],
        environment=environment,
    )


def python_sdk(wire: Format, transfer: str) -> Agent:
    """The Python SDK of the format's provider in a loop of ten lines; `transfer` is stream or whole."""
    return _sdk(
        "python", wire, lambda prompt: [sys.executable, str(SCRIPTS / "agent.py"), wire, transfer, prompt], transfer
    )


def node_sdk(wire: Format, transfer: str) -> Agent:
    """The same with the Node SDK."""
    script = str(SCRIPTS / "agent.cjs")
    return _sdk("node", wire, lambda prompt: [str(install.node_binary()), script, wire, transfer, prompt], transfer)


def _sdk(language: str, wire: Format, command: Callable[[str], list[str]], transfer: str) -> Agent:
    def environment(home: Path) -> dict[str, str]:
        modules = {"NODE_PATH": str(install.node_modules(install.SDKS))} if language == "node" else {}
        return _basics(home) | ANTHROPIC_KEY | OPENAI_KEY | modules

    return Agent(
        name=f"{language}-{wire}-{transfer}",
        host="api.anthropic.com" if wire == "anthropic" else "api.openai.com",
        format=wire,
        command=command,
        environment=environment,
    )


FORMATS: tuple[Format, ...] = ("anthropic", "chat", "responses")
CODING = (claude(), codex("gpt-5.1-codex"), codex("gpt-5.6-sol"), codex("gpt-5.6-sol", login=True))
SDK_LOOPS = tuple(
    make(wire, transfer) for make in (python_sdk, node_sdk) for wire in FORMATS for transfer in ("stream", "whole")
)
AGENTS = CODING + SDK_LOOPS
