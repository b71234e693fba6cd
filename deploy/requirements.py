"""Exact versions of everything: `just requirements` writes them down, `--upgrade` looks for newer ones first.

uv's lock file names registry hosts, so it is not committed. What it decides stands in pyproject.toml as constraints,
from which every machine resolves the same versions, and for images in requirements.txt, with hashes and no address.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT, LOCK, REQUIREMENTS = ROOT / "pyproject.toml", ROOT / "uv.lock", ROOT / "requirements.txt"
CONSTRAINTS = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.DOTALL | re.MULTILINE)
HEADER = """\
# Written by `just requirements`: what the package needs at run time, exactly, for reproducible images.
# pip install --require-hashes -r requirements.txt
"""


def main(upgrade: bool) -> None:
    """Resolves within the constraints, or without them, and writes down what came out."""
    if upgrade:
        write_constraints([])
    _uv("lock", *(["--upgrade"] if upgrade else []))
    write_constraints(locked(LOCK.read_text("utf-8")))
    _uv("lock")
    quiet = ("--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", "--quiet")
    _uv("export", *quiet, "--format", "requirements-txt", "--output-file", str(REQUIREMENTS))
    REQUIREMENTS.write_text(HEADER + REQUIREMENTS.read_text("utf-8"), "utf-8")


def locked(lock: str) -> list[str]:
    """Every package of a lock file as NAME==VERSION. One that is locked twice, for different machines, is left free."""
    packages = [package for package in tomllib.loads(lock)["package"] if "registry" in package["source"]]
    names = [package["name"] for package in packages]
    return sorted(f"{p['name']}=={p['version']}" for p in packages if names.count(p["name"]) == 1)


def write_constraints(constraints: list[str]) -> None:
    """Puts them into pyproject.toml, whose other lines stay as they are."""
    lines = "".join(f'  "{constraint}",\n' for constraint in constraints)
    text, count = CONSTRAINTS.subn(f"constraint-dependencies = [\n{lines}]\n", PROJECT.read_text("utf-8"))
    if count != 1:
        sys.exit(f"{PROJECT}: has no 'constraint-dependencies = [' … ']' to write into")
    PROJECT.write_text(text, "utf-8")


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(upgrade="--upgrade" in sys.argv[1:])
