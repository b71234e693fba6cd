"""Policy sets that projects and tokens name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.config import load_config
from lockgate.errors import ConfigError
from lockgate.policies.further import load_sets
from lockgate.policies.pack import pack, pack_names
from lockgate.policies.registry import PolicySet, Registry, version_of

NOOP = {"name": "seen", "use": "noop"}
SHUT = {"name": "shut", "use": "refuse", "with": {"sentence": "no"}}
OTHER_SHUT = {**SHUT, "with": {"sentence": "never"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / "home"))
    return tmp_path


def read(folder: Path, *rules: Any, **more: Any) -> PolicySet:
    """The sets of a configuration file."""
    (folder / "lockgate.yaml").write_text(json.dumps({"rules": rules, **more}))
    return load_sets(load_config(folder / "lockgate.yaml"))


def a_set(folder: Path, name: str, *rules: Any) -> dict[str, str]:
    """A file beside the configuration."""
    (folder / f"{name}.yaml").write_text(json.dumps({"rules": rules}))
    return {name: f"{name}.yaml"}


def names(policy_set: PolicySet) -> list[str]:
    return [rule.name for rule in policy_set.rules]


async def test_who_names_none_has_the_rules_for_all(folder: Path) -> None:
    registry = Registry(read(folder, NOOP))
    assert await registry.judging(("", "")) is registry.current


async def test_its_rules_come_after_those_for_all(folder: Path) -> None:
    registry = Registry(read(folder, NOOP, policy_sets=a_set(folder, "night", NOOP, SHUT)))
    found = await registry.judging(("", "night"))
    assert names(found) == ["seen", "night/shut"]  # what is the same is there once
    own, _, night = found.version.partition("+")
    assert (own, night.partition(":")[0]) == (registry.current.version, "night")
    assert await registry.judging(("night", "night")) is found


async def test_a_rule_of_the_same_name_never_takes_the_place_of_one_for_all(folder: Path) -> None:
    registry = Registry(read(folder, SHUT, policy_sets=a_set(folder, "night", OTHER_SHUT)))
    assert names(await registry.judging(("night",))) == ["shut", "night/shut"]


async def test_a_projects_and_its_tokens_hold_together(folder: Path) -> None:
    sets = a_set(folder, "shop", SHUT) | a_set(folder, "night", NOOP, SHUT)
    registry = Registry(read(folder, policy_sets=sets))
    found = await registry.judging(("shop", "night"))
    assert names(found) == ["shop/shut", "night/seen", "night/shut"]
    assert [part.partition(":")[0] for part in found.version.split("+")] == ["shop", "night"]


async def test_it_stands_instead_where_the_configuration_says_so(folder: Path) -> None:
    sets = a_set(folder, "night", SHUT)
    registry = Registry(read(folder, NOOP, policy_sets=sets, access={"policy_sets": "replace"}))
    found = await registry.judging(("", "night"))
    assert names(found) == ["night/shut"]
    assert found.version.startswith("night:")


@pytest.mark.parametrize("name", pack_names())
async def test_those_that_ship_need_not_be_named(folder: Path, name: str) -> None:
    found = await Registry(read(folder, NOOP)).judging((name,))
    assert len(found.rules) >= len(pack(name).rules)
    assert found.version.endswith(f"+{name}:{version_of(pack(name).rules)}")


async def test_one_that_nobody_knows_lets_nothing_through(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(read(folder, NOOP))
    for _ in range(3):
        with pytest.raises(ConfigError, match="unknown policy set 'night'; there are: coding-agent"):
            await registry.judging(("night",))
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ({"strict": "a.yaml"}, "'strict' is a set that ships"),
        ({"night": "missing.yaml"}, "missing.yaml: no such file"),
        ({"night": "bad.yaml"}, "policy set 'night': rule 'night/x': unknown policy 'refues'"),
    ],
)
def test_a_mistake_is_said_at_once(folder: Path, sets: Any, sentence: str) -> None:
    a_set(folder, "a", SHUT)
    a_set(folder, "bad", {"name": "x", "use": "refues"})
    with pytest.raises(ConfigError, match=sentence):
        read(folder, policy_sets=sets)


async def test_a_change_of_one_is_a_change(folder: Path) -> None:
    registry = Registry(read(folder, NOOP, policy_sets=a_set(folder, "night", NOOP)))
    assert not registry.swap(read(folder, NOOP, policy_sets={"night": "night.yaml"}))
    before = await registry.judging(("night",))
    assert registry.swap(read(folder, NOOP, policy_sets=a_set(folder, "night", SHUT)))
    assert names(await registry.judging(("night",))) == ["seen", "night/shut"]
    assert names(before) == ["seen"]
    assert registry.swap(read(folder, NOOP, policy_sets={"night": "night.yaml"}, access={"policy_sets": "replace"}))


def test_its_files_are_watched(folder: Path) -> None:
    (folder / "mine.py").write_text("from lockgate import Policy\n\nclass Mine(Policy):\n    pass\n")
    further = read(folder, policy_sets=a_set(folder, "night", {"name": "m", "use": "./mine.py:Mine"})).further
    assert further
    assert [path.name for path in further.files] == ["night.yaml", "mine.py"]
