"""What makers have released or let users install by a script, at their own addresses. Values only, no rule."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import has, operands
from lockgate.policies.shell.model import Command

_RELEASES = re.compile(
    r"https://(?:github\.com/[\w.-]+/[\w.-]+/releases/|dl\.k8s\.io/|releases\.hashicorp\.com/|go\.dev/dl/|nodejs\.org/dist/|dl\.google\.com/|"
    r"storage\.googleapis\.com/kubernetes-release/|get\.helm\.sh/|downloads\.mariadb\.com/|download\.docker\.com/|awscli\.amazonaws\.com/)"
)


_INSTALLERS = re.compile(
    r"(?:https://)?(?:(?:sh\.rustup\.rs|astral\.sh/(?:uv|ruff)/[\w./-]*install\.sh|bun\.sh/install|deno\.land/(?:x/install/)?install\.sh|get\.pnpm\.io/install\.sh|"
    r"install\.python-poetry\.org|deb\.nodesource\.com/setup_[\w.]+|get\.sdkman\.io|repo\.anaconda\.com/(?:miniconda|archive)/\w[\w.-]*\.sh|get\.docker\.com|starship\.rs/install\.sh|mise\.run|"
    r"fnm\.vercel\.app/install|install\.duckdb\.org|get\.k3s\.io|tailscale\.com/install\.sh|bootstrap\.pypa\.io/get-pip\.py|zed\.dev/install\.sh|"
    r"install\.determinate\.systems/nix|nixos\.org/nix/install|opencode\.ai/install|cursor\.com/install|fly\.io/install\.sh|just\.systems/install\.sh|"
    r"get\.jetify\.com/devbox|sdk\.cloud\.google\.com|aka\.ms/InstallAzureCLIDeb|get\.helm\.sh|pyenv\.run|volta\.sh|ollama\.com/install\.sh|claude\.ai/install\.sh|get\.scoop\.sh|"
    r"community\.chocolatey\.org/install\.ps1|cli\.github\.com/[\w./-]+|dot\.net/v1/dotnet-install\.sh|pixi\.sh/install\.sh)/?$|"
    r"raw\.githubusercontent\.com/(?:nvm-sh/nvm|Homebrew/install|pyenv/pyenv-installer|helm/helm|golangci/golangci-lint|ohmyzsh/ohmyzsh|k3d-io/k3d|aquasecurity/trivy|anchore/(?:syft|grype)|rbenv/rbenv-installer|"
    r"asdf-vm/asdf)/[\w./-]+$)"
)
"""What most users have installed this way: the makers' own installers, at the makers' own addresses."""


def well_known(source: Command) -> bool:
    """Whether everything that it brings is the installer of a tool that most users know."""
    if has(source, "-k", "--insecure", "--no-check-certificate"):
        return False
    named = operands(source, "-o --output" if source.name == "curl" else "-O --output-document -o -P")
    urls = [arg for arg in named if re.match(r"(?:https?://)?\w[\w-]*(?:\.[\w-]+)+(?:/|$)", arg)]
    return bool(urls) and all(_INSTALLERS.match(url) for url in urls)


def released(source: Command) -> bool:
    """Whether it is a program that its maker has released under a version, and no script."""
    urls = [arg for arg in source.args if "://" in arg]
    return bool(urls) and all(_RELEASES.match(url) and not url.endswith((".sh", ".py", ".ps1")) for url in urls)
