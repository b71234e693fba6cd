"""Exact versions, the image and the compose file agree with the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = [Requirement(line) for line in PROJECT["tool"]["uv"]["constraint-dependencies"]]
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
INSTRUCTIONS = [
    (word, arguments)
    for line in re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
    for word, _, arguments in [line.partition(" ")]
]


def pinned(requirements: list[Requirement]) -> dict[str, str]:
    return {canonicalize_name(each.name): str(each.specifier) for each in requirements}


def required() -> list[Requirement]:
    """The lines of requirements.txt, without their hashes."""
    lines = REQUIREMENTS.replace("\\\n", "").splitlines()
    return [Requirement(line.partition(" --hash")[0]) for line in lines if not line.startswith("#")]


def arguments_of(word: str) -> list[list[str]]:
    return [shlex.split(arguments) for name, arguments in INSTRUCTIONS if name == word]


def copied() -> list[str]:
    """What the image takes from the repository."""
    return [source for *sources, _ in arguments_of("COPY") if "--from" not in sources[0] for source in sources]


def test_every_constraint_is_one_version() -> None:
    assert all(re.fullmatch(r"==[\w.]+", version) for version in pinned(CONSTRAINTS).values())


def test_requirements_agree_with_the_constraints() -> None:
    """If not: `just requirements`."""
    versions = pinned(required())
    assert versions.items() <= pinned(CONSTRAINTS).items()
    assert {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]} <= set(versions)


def test_development_dependencies_have_constraints() -> None:
    names = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependency-groups"]["dev"]}
    assert names <= set(pinned(CONSTRAINTS))


def test_every_requirement_has_hashes() -> None:
    blocks = re.split(r"\n(?=\S)", REQUIREMENTS.strip())
    assert all("--hash=sha256:" in block for block in blocks if not block.startswith("#"))


def test_exact_versions_name_no_host() -> None:
    for text in (REQUIREMENTS, *map(str, CONSTRAINTS)):
        assert not re.search(r"://|--index|--find-links| @ ", text)


def test_the_image_takes_what_the_package_is_made_of() -> None:
    folders = {"lockgate", *PROJECT["tool"]["setuptools"]["package-dir"].values()}
    assert set(copied()) == folders | {"requirements.txt", "pyproject.toml", PROJECT["project"]["readme"]}
    assert all((ROOT / name).exists() for name in copied())
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == set(copied())


def test_the_image_has_a_supported_python() -> None:
    """The newest that is supported, as pyenv finds it in .python-version."""
    range_, newest, *_ = [line for line in (ROOT / ".python-version").read_text().split("\n") if line[:1] != "#"]
    assert SpecifierSet(range_) == SpecifierSet(PROJECT["project"]["requires-python"])
    bases = {image for image, *_ in arguments_of("FROM")}
    assert bases == {f"python:{newest}-slim"}
    assert SpecifierSet(range_).contains(newest)


def test_the_image_serves_without_privileges() -> None:
    (home,) = (arguments[0] for arguments in arguments_of("VOLUME"))
    words = [word for word, _ in INSTRUCTIONS]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert arguments_of("USER") == [["lockgate"]]
    assert [arguments for word, arguments in INSTRUCTIONS if word == "ENTRYPOINT"] == ['["lockgate", "serve"]']
    environment = dict(pair.split("=", 1) for pair in arguments_of("ENV")[0])
    assert environment["LOCKGATE_HOME"] == home
    assert environment["LOCKGATE_LISTEN"] == f"0.0.0.0:{arguments_of('EXPOSE')[0][0]}"


def test_the_steps_of_the_image_work(tmp_path: Path) -> None:
    """The same installation in a plain folder, by uv, which has most of it in its cache."""
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv is not to be found: run the tests with `uv run pytest`"
    source, folder = tmp_path / "source", tmp_path / "lockgate"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, source)
    venv.create(folder, with_pip=False)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*install, "--require-hashes", "-r", "requirements.txt"], cwd=source, check=True)
    subprocess.run([*install, "--no-deps", "."], cwd=source, check=True)
    environment = {**os.environ, "LOCKGATE_HOME": str(tmp_path / "data")}
    command = [str(folder / "bin" / "lockgate"), "--version"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PROJECT["project"]["version"]


def test_the_compose_file_builds_the_image() -> None:
    file = ROOT / "deploy" / "docker-compose.yml"
    services = YAML(typ="safe", pure=True).load(file)["services"]
    assert (file.parent / services["lockgate"]["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    assert services["lockgate"]["ports"] == ["127.0.0.1:8080:8080"]
    assert arguments_of("VOLUME")[0][0] in services["lockgate"]["volumes"][0]
