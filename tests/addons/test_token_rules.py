"""Exchanges under the policy set that a token, or its project, is given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.grant import Grant
from lockgate.config import load_config
from lockgate.policies.further import load_sets
from tests.addons.messages import ASK, PATH, WHOLE, end, stream, text
from tests.addons.test_door import KEY, OTHER, SECRET, Guarded, Store, a_key, a_token, guarded, refused
from tests.upstream.proxied import Tls, tls

__all__ = ["tls"]

SHUT = {"name": "shut", "use": "refuse", "with": {"sentence": "not at night"}}


@pytest.fixture
def store() -> Store:
    return Store({SECRET: a_token(grant=Grant(policy="night")), OTHER: a_token()}, [a_key()])


def in_force(to: Guarded, folder: Path, *rules: Any, **more: Any) -> None:
    """The rules for all, and those of the set `night`."""
    (folder / "night.yaml").write_text(json.dumps({"rules": rules}))
    (folder / "own.yaml").write_text(json.dumps({"rules": [], "policy_sets": {"night": "night.yaml"}, **more}))
    assert to.at.registry.swap(load_sets(load_config(folder / "own.yaml")))


async def passes(to: Guarded, secret: str) -> None:
    reply = await (await to.at.client()).send(ASK, {"x-api-key": secret}, path=PATH)
    await (await to.at.provider.next()).reply(stream(text(0, "So"), end("end_turn")))
    await reply.over()
    assert reply.status == 200


@pytest.mark.parametrize("whose", ["grant", "project_grant"])
async def test_it_is_held_to_its_set_and_others_are_not(tls: Tls, store: Store, tmp_path: Path, whose: str) -> None:
    given: Any = {"grant": Grant(), whose: Grant(policy="night")}
    store.tokens[SECRET] = replace(store.tokens[SECRET], **given)
    async with guarded(tls, store) as to:
        in_force(to, tmp_path, SHUT)
        await refused(to.at, "not at night", headers={"x-api-key": SECRET})
        await passes(to, OTHER)
        [held, other] = await to.at.log.ended(2)
        night = to.at.registry.current.further
        assert night
        assert held.policy_set == f"night:{night.versions['night']}"
        assert held.rules == ("night/shut",)
        assert other.policy_set == to.at.registry.current.version
        assert {decision.policy_set for decision in to.at.log.decisions} == {held.policy_set}


async def test_the_rules_for_all_hold_for_it_too(tls: Tls, store: Store, tmp_path: Path) -> None:
    async with guarded(tls, store) as to:
        in_force(to, tmp_path, {"name": "seen", "use": "noop"}, rules=[SHUT])
        await refused(to.at, "not at night", headers={"x-api-key": SECRET})
        [row] = await to.at.log.ended()
        assert row.rules == ("shut",)
        assert row.policy_set.startswith(f"{to.at.registry.current.version}+night:")


async def test_a_change_of_it_holds_for_the_next_exchange(tls: Tls, store: Store, tmp_path: Path) -> None:
    async with guarded(tls, store) as to:
        in_force(to, tmp_path, {"name": "seen", "use": "noop"})
        await passes(to, SECRET)
        in_force(to, tmp_path, SHUT)
        reply = await (await to.at.client()).send(WHOLE, {"x-api-key": SECRET}, path=PATH)
        await reply.over()
        assert b"not at night" in reply.body
        assert len({row.policy_set for row in await to.at.log.ended(2)}) == 2


async def test_a_rule_may_look_at_a_tokens_labels(tls: Tls, store: Store) -> None:
    store.tokens[SECRET] = a_token(labels=("night",))
    async with guarded(tls, store, {**SHUT, "match": {"label": "night"}}) as to:
        await refused(to.at, "not at night", headers={"x-api-key": SECRET})
        await passes(to, OTHER)


async def test_where_it_cannot_be_had_nothing_passes(tls: Tls, store: Store) -> None:
    async with guarded(tls, store) as to:
        await refused(
            to.at, "the policy set that the token is held to cannot be put in force", headers={"x-api-key": SECRET}
        )
        await passes(to, OTHER)
        assert KEY not in repr(to.at.log.records)
