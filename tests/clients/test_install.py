"""Installing clients: once for all processes, whole or not at all, with a sentence when it fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients import install

PACKAGES = install.Packages(name="some", specifications=("some@1.0.0",))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_TEST_CACHE", str(tmp_path))
    return tmp_path


def test_many_at_once_install_once(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[tuple[str, ...]] = []

    def installs(folder: Path, specifications: tuple[str, ...]) -> None:
        installed.append(specifications)

    monkeypatch.setattr(install, "_npm_install", installs)
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(install.node_modules, [PACKAGES] * 8))
    assert (installed, folders) == ([PACKAGES.specifications], {PACKAGES.folder / "node_modules"})


def test_half_an_installation_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folder: Path, specifications: tuple[str, ...]) -> None:
        (folder / "node_modules").mkdir()
        raise RuntimeError("no network")

    monkeypatch.setattr(install, "_npm_install", fails)
    with pytest.raises(RuntimeError, match="no network"):
        install.node_modules(PACKAGES)
    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_a_failure_of_npm_tells_what_to_do(tmp_path: Path) -> None:
    local = install.Packages(name="local", specifications=(f"file:{tmp_path}/missing",))
    with pytest.raises(RuntimeError, match="set LOCKGATE_TEST_CACHE"):
        install.node_modules(local)


def test_another_version_is_another_folder() -> None:
    newer = install.Packages(name="some", specifications=("some@1.0.1",))
    assert newer.folder != PACKAGES.folder
