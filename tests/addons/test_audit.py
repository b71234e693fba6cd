"""Refusals of access at a real proxy: each is noted, none holds a token, and many of them are few rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lockgate.access.audit import LogAudit
from lockgate.access.grant import Allow, Budget, Grant, Limits
from lockgate.access.refusals import Refusals
from lockgate.addons.service import Service
from lockgate.records import AuditEntry, Comm, ExchangeRow, now
from tests.addons.gated import ANTHROPIC, Gated, rules
from tests.addons.messages import ASK, PATH, START, WHOLE, end, stream, text
from tests.addons.test_door import OTHER, SECRET, UNKNOWN, Guarded, Store, a_key, a_token, guarded
from tests.upstream.proxied import Tls, soon, tls

__all__ = ["tls"]

ENDED = timedelta(hours=-1)


@pytest.fixture
def store() -> Store:
    return Store({SECRET: a_token(), OTHER: a_token()}, [a_key()])


@asynccontextmanager
async def audited(tls: Tls, store: Store, **more: Any) -> AsyncGenerator[tuple[Guarded, Refusals]]:
    async with guarded(tls, store, **more) as to:
        refusals = Refusals(to.at.log)
        assert to.at.gate.entrance.door
        to.at.gate.entrance.door._refusals = refusals  # pyright: ignore[reportPrivateUsage]
        yield to, refusals


async def ask(at: Gated, headers: Mapping[str, str], *, body: bytes = WHOLE, path: str = PATH, auth: str = "") -> int:
    reply = await (await at.client(proxy_auth=auth)).send(body, headers, path=path)
    await reply.over()
    assert reply.status
    return reply.status


def entries(at: Gated) -> list[AuditEntry]:
    """As they were put last."""
    return list({one.id: one for one in at.log.of(AuditEntry)}.values())


def no_tokens(at: Gated) -> bool:
    return not any(secret[:12] in repr(at.log.records) for secret in (SECRET, OTHER, UNKNOWN))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"expires_at": now() + ENDED}, "expired"),
        ({"revoked_at": now()}, "revoked"),
        ({"project_active": False}, "inactive"),
        ({"request_quota": 0}, "exhausted"),
        ({"grant": Grant(allow=Allow(models=("gpt-*",)))}, "forbidden"),
        ({"grant": Grant(allow=Allow(addresses=("10.9.9.9/32",)))}, "address"),
        ({"project_grant": Grant(allow=Allow(endpoints=("/v1/models",)))}, "forbidden"),
        ({"grant": Grant(limits=Limits(tokens_per_minute=1, request_bytes=2))}, "limit"),
        ({"grant": Grant(limits=Limits(request_bytes=1))}, "limit"),
        ({"grant": Grant(budgets=(Budget(per="day", tokens=1),))}, "budget"),
    ],
    ids=range(10),
)
async def test_a_known_token_is_named_by_its_id(tls: Tls, store: Store, change: Mapping[str, Any], kind: str) -> None:
    store.tokens[SECRET] = token = replace(store.tokens[SECRET], **change)
    async with audited(tls, store) as (to, _):
        assert await ask(to.at, {"x-api-key": SECRET}) == 400
        [entry] = entries(to.at)
        assert (entry.who, entry.where, entry.act) == (token.id, "127.0.0.1", f"access.{kind}")
        assert (entry.subject, entry.outcome, entry.count) == (f"host {ANTHROPIC}", "denied", 1)
        assert entry.reason
        assert no_tokens(to.at)


@pytest.mark.parametrize(
    ("mode", "headers", "auth", "kind"),
    [
        ("both", {"x-api-key": UNKNOWN}, "", "unknown"),
        ("both", {"x-api-key": "lg_cut"}, "", "malformed"),
        ("both", {}, f"{UNKNOWN}:", "unknown"),
        ("both", {"x-api-key": SECRET}, f"{OTHER}:", "ambiguous"),
        ("both", {"x-api-key": "sk-own", "x-note": SECRET}, "", "misplaced"),
        ("passthrough", {"x-api-key": SECRET}, "", "misplaced"),
        ("token", {"x-api-key": "sk-own"}, "", "missing"),
    ],
    ids=range(7),
)
async def test_who_is_not_known_is_unknown(
    tls: Tls, store: Store, mode: str, headers: Mapping[str, str], auth: str, kind: str
) -> None:
    async with audited(tls, store, mode=mode) as (to, _):
        assert await ask(to.at, headers, auth=auth) == 400
        assert [(one.who, one.act, one.outcome) for one in entries(to.at)] == [("unknown", f"access.{kind}", "denied")]
        assert no_tokens(to.at)


async def test_side_calls_tunnels_and_keys_that_are_not_there(tls: Tls, store: Store) -> None:
    store.kept.clear()
    async with audited(tls, store, mode="token") as (to, _):
        assert await ask(to.at, {"x-api-key": UNKNOWN}, body=b"", path="/v1/files") == 400
        with pytest.raises(ConnectionError, match="407"):
            await to.at.client("other.example")
        assert await ask(to.at, {"x-api-key": SECRET}) == 400
        assert [(one.who, one.act, one.subject) for one in entries(to.at)] == [
            ("unknown", "access.unknown", f"host {ANTHROPIC}"),
            ("unknown", "access.missing", "host other.example"),
            (store.tokens[SECRET].id, "access.no_key", f"host {ANTHROPIC}"),
        ]


async def test_who_cannot_be_checked_is_noted_too(tls: Tls, store: Store) -> None:
    store.is_away = True
    async with audited(tls, store) as (to, _):
        assert await ask(to.at, {"x-api-key": SECRET}) == 429
        [entry] = entries(to.at)
        assert (entry.act, entry.outcome, entry.reason) == ("access.unchecked", "error", "the database is away")


async def test_a_stream_that_is_cut_is_a_refusal(tls: Tls, store: Store) -> None:
    async with audited(tls, store) as (to, _):
        reply = await (await to.at.client(proxy_auth=f"{SECRET}:")).send(ASK, path=PATH)
        served = await to.at.provider.next()
        await served.start()
        await served.send(START, *text(0, "So"))
        await reply.until(b"So")
        store.tokens[SECRET] = replace(store.tokens[SECRET], revoked_at=now())
        await to.changed()
        await reply.over()
        await soon(served.gone.wait())
        [entry] = entries(to.at)
        assert (entry.who, entry.act, entry.count) == (store.tokens[SECRET].id, "access.revoked", 1)


async def test_who_is_let_in_is_not_noted(tls: Tls, store: Store) -> None:
    async with audited(tls, store) as (to, _):
        reply = await (await to.at.client()).send(ASK, {"x-api-key": SECRET}, path=PATH)
        await (await to.at.provider.next()).reply(stream(text(0, "So"), end("end_turn")))
        await reply.over()
        await to.at.log.ended()
        assert entries(to.at) == []


async def test_a_flood_fills_neither_the_trail_nor_the_log(tls: Tls, store: Store) -> None:
    """Each request of a new connection would be the same; on one it is quicker."""
    async with audited(tls, store) as (to, refusals):
        client = await to.at.client()
        for number in range(300):
            reply = await client.send(WHOLE, {"x-api-key": UNKNOWN if number % 2 else f"lg_{number}"}, path=PATH)
            await reply.over()
            assert reply.status == 400
        await refusals.write()
        assert [(one.act, one.count) for one in entries(to.at)] == [("access.malformed", 150), ("access.unknown", 150)]
        assert (len(to.at.log.of(ExchangeRow)), len(to.at.log.of(Comm))) == (2, 4)


async def test_rules_that_are_read_again_are_noted(tls: Tls, store: Store) -> None:
    async with guarded(tls, store) as to:
        [service] = [one for one in to.at.proxy.master.addons.chain if isinstance(one, Service)]
        service._audit = LogAudit(to.at.log)  # pyright: ignore[reportPrivateUsage]
        service.reload()
        assert entries(to.at) == []  # nothing changed

        before = to.at.registry.current
        service._read_rules = lambda: rules({"name": "n", "use": "noop"})  # pyright: ignore[reportPrivateUsage]
        service.reload()
        [entry] = entries(to.at)
        assert (entry.who, entry.where, entry.act, entry.outcome) == (
            "file change",
            "local",
            "policy.reload",
            "success",
        )
        assert (before.version in entry.before, to.at.registry.current.version in entry.after) == (True, True)

        def broken() -> Any:
            raise ValueError("sk-secret")

        service._read_rules = broken  # pyright: ignore[reportPrivateUsage]
        service.reload("signal")
        entry = entries(to.at)[1]
        assert (entry.who, entry.act, entry.outcome, entry.after) == ("signal", "policy.reload", "error", "")
        assert "sk-secret" not in repr(entry)
        to.at.proxy.crashes.clear()  # it was said in the program's log
