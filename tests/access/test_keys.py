"""Provider keys: chosen in turn, rested, read from where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.keys import LIMITED_SECONDS, READ_SECONDS, REFUSED_SECONDS, KeptKey, Keys
from lockgate.errors import AccessError


@dataclass
class Store:
    kept: list[KeptKey] = field(default_factory=list[KeptKey])
    asked: int = 0

    async def keys(self) -> Sequence[KeptKey]:
        self.asked += 1
        return list(self.kept)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def a_key(name: str, **fields: Any) -> KeptKey:
    known: dict[str, Any] = {"id": name, "provider": "anthropic", "project_id": None, "source": "kept", "value": name}
    return KeptKey(**known | fields)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def chosen(keys: Keys, times: int = 1, *, project: str = "p", host: str = "api.anthropic.com") -> list[str]:
    return [(await keys.choose(project, host, "anthropic"))[1] for _ in range(times)]


async def test_keys_take_turns_and_the_store_is_asked_once(clock: Clock):
    store = Store([a_key("a"), a_key("b"), a_key("x", provider="openai")])
    keys = Keys(store, clock=clock)
    assert await chosen(keys, 4) == ["a", "b", "a", "b"]
    assert store.asked == 1


async def test_a_projects_own_keys_go_before_those_for_all(clock: Clock):
    keys = Keys(Store([a_key("all"), a_key("own", project_id="p"), a_key("other", project_id="q")]), clock=clock)
    assert await chosen(keys, 2) == ["own", "own"]
    assert await chosen(keys, 2, project="z") == ["all", "all"]


async def test_a_key_may_be_for_one_host(clock: Clock):
    keys = Keys(Store([a_key("a", provider="llm.example.com")]), clock=clock)
    assert await chosen(keys, host="llm.example.com") == ["a"]
    with pytest.raises(AccessError, match=r"no key for api\.anthropic\.com"):
        await chosen(keys)


@pytest.mark.parametrize(
    ("status", "retry_after", "rests"),
    [(401, "", REFUSED_SECONDS), (429, "", LIMITED_SECONDS), (429, "60", 60), (429, "Mon, 1 Jan", LIMITED_SECONDS),
     (429, "999999", 3600), (200, "60", 0), (500, "60", 0)],
)  # fmt: skip
async def test_a_key_rests_where_the_provider_says_so(clock: Clock, status: int, retry_after: str, rests: float):
    keys = Keys(Store([a_key("a"), a_key("b")]), clock=clock)
    await chosen(keys, 2)
    keys.answered("a", status, retry_after)
    assert await chosen(keys, 2) == (["b", "b"] if rests else ["a", "b"])
    clock.now += rests
    assert "a" in await chosen(keys, 3)


async def test_where_all_rest_it_is_said(clock: Clock):
    keys = Keys(Store([a_key("a")]), clock=clock)
    await chosen(keys)
    keys.answered("a", 429)
    with pytest.raises(AccessError, match="refused or limited by the provider just now"):
        await chosen(keys)


async def test_a_key_rests_on_though_others_change(clock: Clock):
    store = Store([a_key("a"), a_key("b")])
    keys = Keys(store, clock=clock)
    await chosen(keys, 2)
    keys.answered("a", 401)
    store.kept.append(a_key("c"))
    keys.forget()
    assert set(await chosen(keys, 4)) == {"b", "c"}


async def test_a_key_is_read_from_where_it_stands(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "key"
    file.write_text("from-file\n")
    monkeypatch.setenv("THE_KEY", " from-variable ")
    places = [("environment", "THE_KEY"), ("file", str(file)), ("command", "echo from-command")]
    kept = [a_key(value, source=source) for source, value in places]
    keys = Keys(Store(kept), clock=clock)
    assert await chosen(keys, 3) == ["from-variable", "from-file", "from-command"]
    file.write_text("another")
    assert (await chosen(keys, 3))[1] == "from-file"
    clock.now += READ_SECONDS
    assert (await chosen(keys, 3))[1] == "another"


async def test_a_key_that_was_refused_is_read_again(clock: Clock, tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("old")
    keys = Keys(Store([a_key("f", source="file", value=str(file))]), clock=clock)
    assert await chosen(keys) == ["old"]
    file.write_text("new")
    keys.answered("f", 401)
    clock.now += REFUSED_SECONDS
    assert await chosen(keys) == ["new"]


@pytest.mark.parametrize(
    ("source", "value"),
    [("environment", "NOT_SET_ANYWHERE"), ("file", "/nowhere/key"), ("command", "exit 3"), ("command", "true"),
     ("command", "printf 'two\\nlines'")],
)  # fmt: skip
async def test_what_cannot_be_read_is_named_by_its_place_alone(clock: Clock, source: Any, value: str):
    keys = Keys(Store([a_key("a", source=source, value=value)]), clock=clock)
    with pytest.raises(AccessError, match=f"the key for anthropic cannot be read from its {source}$"):
        await chosen(keys)
