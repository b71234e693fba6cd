"""What is installed is what stands in the repository, and works from a wheel as from a checkout."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINKS = {path.name: path for path in (ROOT / "lockgate").iterdir() if path.is_symlink()}
MITMDUMP = "import sys; from mitmproxy.tools.main import mitmdump; sys.exit(mitmdump())"
IMPORT_ALL = """
import importlib, pkgutil, sys, lockgate
names = [module.name for module in pkgutil.walk_packages(lockgate.__path__, "lockgate.")]
for name in names:
    if name != "lockgate.storage.migrations.env":  # runs only inside Alembic
        importlib.import_module(name)
print(len(names), *sorted(set(sys.argv[1:]) & set(sys.modules)))
"""


def files_on_disk() -> set[str]:
    """What belongs to the package, by the names that it has inside a wheel; links are followed."""
    return {
        str((Path(folder) / name).relative_to(ROOT))
        for folder, _, names in os.walk(ROOT / "lockgate", followlinks=True)
        for name in names
        if "__pycache__" not in folder and not name.endswith(".md")
    }


def imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def source_modules(contract: str) -> set[str]:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (found,) = (each for each in contracts if each["name"] == contract)
    return {name.removeprefix("lockgate.") for name in found["source_modules"]}


def run(*command: str | Path, home: Path) -> str:
    """What a command prints, run by itself in an empty folder with its own Lockgate home."""
    environment = {**os.environ, "LOCKGATE_HOME": str(home / "data")}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left behind here."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    for name in ("lockgate", *LINKS):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", copy / "dist", copy, home=copy)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def wheel_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which the wheel is installed; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv is not to be found: run the tests with `uv run pytest`"
    run(uv, "pip", "install", "--no-deps", "--offline", "--python", python, wheel, home=folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.fixture(params=["wheel", "checkout"])
def python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with Lockgate installed from a wheel, and the one of the checkout."""
    return Path(sys.executable) if request.param == "checkout" else request.getfixturevalue("wheel_python")


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == files_on_disk()


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {str(Path(name).parent) for name in files_on_disk() if name.endswith(".py")}
    assert {folder.replace("/", ".") for folder in folders} == set(PROJECT["tool"]["setuptools"]["packages"])
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)


def test_links_point_to_the_folders_at_the_top() -> None:
    assert {name: str(link.readlink()) for name, link in LINKS.items()} == {name: f"../{name}" for name in LINKS}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == {f"lockgate.{name}": name for name in LINKS}


def test_pyright_looks_into_every_link() -> None:
    assert set(PROJECT["tool"]["pyright"]["include"]) == {"lockgate", *(f"lockgate/{name}" for name in LINKS)}


def test_contracts_name_every_part_that_they_bind() -> None:
    parts = {path.stem for path in (ROOT / "lockgate").iterdir() if path.is_dir() or path.suffix == ".py"}
    parts -= {"__init__", "__pycache__"}
    assert source_modules("mitmproxy stays in addons") == parts - {"addons", "certs"}
    assert source_modules("SQLAlchemy and Alembic stay in storage") == parts - {"storage"}
    assert source_modules("FastAPI stays in admin") == parts - {"admin"}


def test_certs_uses_only_the_certificates_of_mitmproxy() -> None:
    used = {name for file in (ROOT / "certs").glob("*.py") for name in imported_by(file)}
    assert {name for name in used if name.partition(".")[0] == "mitmproxy"} <= {"mitmproxy.certs"}


def test_addons_hide_no_other_module() -> None:
    """mitmproxy puts the script's folder first on the import path."""
    others = {"lockgate", *sys.stdlib_module_names, *packages_distributions()} - set(LINKS)
    assert {path.stem for path in (ROOT / "addons").glob("*.py")} & others == set()


def test_modules_are_only_known_by_their_full_names(python: Path, tmp_path: Path) -> None:
    """Bare names would clash with a policy author's own folders. The checkout has these folders on its path."""
    folder = ROOT if python == Path(sys.executable) else tmp_path
    program = f"import os; os.chdir({str(folder)!r})" + IMPORT_ALL
    count, *bare = run(python, "-c", program, *LINKS, home=tmp_path).split()
    assert bare == []
    assert int(count) > 50


def test_commands_work(python: Path, tmp_path: Path) -> None:
    command = python.with_name("lockgate")
    assert run(command, "--version", home=tmp_path).strip() == PROJECT["project"]["version"]
    assert "noop" in run(command, "policy", "list", home=tmp_path)


def test_mitmdump_loads_the_script_and_stops(python: Path, tmp_path: Path) -> None:
    script = run(python.with_name("lockgate"), "addon-path", home=tmp_path).strip()
    assert Path(script).is_file()
    assert Path(script).is_relative_to(ROOT) == (python == Path(sys.executable))
    command = [python, "-c", MITMDUMP, "--listen-host", "127.0.0.1", "--listen-port", "0", "-s", script]
    environment = {**os.environ, "LOCKGATE_HOME": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        heard: list[str] = []
        for line in process.stdout:
            heard.append(line)
            if "listening at" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait() == 0, "".join(heard)
    assert any("listening at" in line for line in heard), "".join(heard)
    assert (tmp_path / "data" / "ca").is_dir()
