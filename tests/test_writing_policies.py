"""`docs/writing-policies.md` leads to a policy that is tested, built and found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lockgate.cli.policy_new import new
from lockgate.errors import ConfigError
from lockgate.testing import call, reply_through, request_through

PAGE = (Path(__file__).parent.parent / "docs" / "writing-policies.md").read_text("utf-8")


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[number]


def done(*command: str, cwd: Path, path: Path | None = None) -> str:
    given = os.environ | ({"PYTHONPATH": str(path)} if path else {}) | {"PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=given, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_new_policy_passes_its_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new("no_words", folder=tmp_path)
    assert "use: ./no_words.py:NoWords" in capsys.readouterr().out
    assert "3 passed" in done("pytest", "-q", "-p", "no:cacheprovider", ".", cwd=tmp_path)
    with pytest.raises(ConfigError, match="is there already"):
        new("no_words", folder=tmp_path)


@pytest.mark.parametrize("name", ["No", "a-b", "1a", "class", "_a", "../a", ""])
def test_a_policys_name_is_a_modules(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no name for a policy"):
        new(name, folder=tmp_path)


def test_the_published_example_is_built_found_and_passes_its_test(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(block("toml"))
    (tmp_path / "lockgate_long_calls.py").write_text(block("python", 0))
    done("build", "--wheel", "--no-isolation", ".", cwd=tmp_path)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    zipfile.ZipFile(wheel).extractall(installed)
    elsewhere.mkdir()
    (elsewhere / "test_long_calls.py").write_text(block("python", 1))
    assert "1 passed" in done("pytest", "-q", "-p", "no:cacheprovider", ".", cwd=elsewhere, path=installed)
    listed = subprocess.run(
        [sys.executable, "-c", "from lockgate.cli import main; main()", "policy", "list"],
        cwd=elsewhere, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.search(r"^ *long-calls +The longer a call, the more suspicious\.$", listed.stdout, re.MULTILINE)


def test_testing_a_request_and_a_policy_that_asks_a_model() -> None:
    passed = request_through("replace", "it is hunter2", secret="hunter2")
    assert (passed.text, passed.refused) == ("it is [removed]", "")
    assert "nightingale" in request_through("refuse", "nightingale", sentence="No nightingale.").refused
    judge = {"url": "https://judge.example/v1/messages", "model": "j"}
    assert reply_through("judge", call("Bash", command="x"), answer='{"score": 0.1, "reason": ""}', **judge).calls
    blocked = reply_through("judge", call("Read", path="x"), **judge)
    assert blocked.calls == ()
    assert "say what one answers" in blocked.decisions[-1].reason


def test_testing_finds_what_depends_on_the_cut() -> None:
    with pytest.raises(AssertionError, match="depends on where a text is cut"):
        reply_through(f"{Path(__file__).parent / 'addons' / 'steered_policies.py'}:Crashes", "a crash")
