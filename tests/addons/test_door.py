"""Tokens at the door: in the proxy's credentials and in the place of a provider's key."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lockgate.access.budgets import Budgets, Key, Sum
from lockgate.access.charges import Charges
from lockgate.access.grant import Allow, Grant
from lockgate.access.keyring import Keyring
from lockgate.access.keys import KeptKey, Keys
from lockgate.access.records import Token
from lockgate.access.token import make_token
from lockgate.access.tokens import DENIED, ENDED, Tokens, Used
from lockgate.addons.door import NO_KEYS, STRAY, TWO, WANTED, Door
from lockgate.config import Config
from lockgate.errors import StorageError
from lockgate.records import now
from lockgate.usage.prices import load_prices
from tests.addons.gated import ANTHROPIC, OPENAI, Gated, gated
from tests.addons.messages import ASK, PATH, START, WHOLE, end, stream, text
from tests.addons.wires import Wire, every_wire
from tests.upstream.proxied import Http, Tls, soon, tls
from tests.upstream.script import Text

__all__ = ["tls"]

RING = Keyring([b"r" * 32])
SECRET, OTHER = make_token(), make_token()
KEY = "sk-ant-api03-real"
UNKNOWN = make_token()


@dataclass
class Store:
    """Tokens and keys in memory."""

    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    kept: list[KeptKey] = field(default_factory=list[KeptKey])
    used: dict[Key, Sum] = field(default_factory=dict[Key, Sum])
    charged: int = 0
    is_away: bool = False

    async def find(self, digests: Sequence[bytes]) -> Token | None:
        if self.is_away:
            raise StorageError("the database is away")
        return next((token for secret, token in self.tokens.items() if RING.digest(secret) in digests), None)

    async def charge(self, id: str) -> bool:
        quota = next(token.request_quota for token in self.tokens.values() if token.id == id)
        if quota is not None and self.charged >= quota:
            return False
        self.charged += 1
        return True

    async def give_back(self, id: str) -> None:
        self.charged -= 1

    async def clean_up(self, *, ended_before: datetime) -> int:
        return 0

    async def add_used(self, used: Mapping[str, Used]) -> None: ...

    async def keys(self) -> Sequence[KeptKey]:
        return self.kept

    async def sums(self, keys: Sequence[Key]) -> Mapping[Key, Sum]:
        if self.is_away:
            raise StorageError("the database is away")
        return {key: self.used[key] for key in keys if key in self.used}

    async def add(self, more: Mapping[Key, Sum]) -> Mapping[Key, Sum]:
        self.used |= {key: self.used.get(key, Sum()) + sum for key, sum in more.items()}
        return {key: self.used[key] for key in more}


def a_token(**fields: Any) -> Token:
    known: dict[str, Any] = {
        "project_id": "p",
        "project": "shop",
        "hint": "lg_…",
        "expires_at": now() + timedelta(hours=1),
    }
    return Token(**known | fields)


def a_key(id: str = "k", **fields: Any) -> KeptKey:
    known: dict[str, Any] = {"provider": "anthropic", "project_id": None, "source": "kept", "value": KEY}
    return KeptKey(id=id, **known | fields)


@dataclass(kw_only=True)
class Guarded:
    at: Gated
    store: Store
    tokens: Tokens
    keys: Keys
    budgets: Budgets

    async def changed(self) -> None:
        """What a proxy does when it hears of a change."""
        self.tokens.forget()
        self.keys.forget()
        await self.at.gate.check_guests()


@asynccontextmanager
async def guarded(
    tls: Tls,
    store: Store,
    *rules: Mapping[str, Any],
    mode: str = "both",
    limits: Mapping[str, Any] | None = None,
    **more: Any,
) -> AsyncGenerator[Guarded]:
    tokens, keys, budgets = Tokens(store, RING), Keys(store), Budgets(store)

    def door(config: Config) -> Door:
        return Door(config, tokens, keys, Charges(config.access.limits, budgets, load_prices))

    async with gated(tls, *rules, door=door, access={"mode": mode, "limits": limits or {}}, **more) as at:
        yield Guarded(at=at, store=store, tokens=tokens, keys=keys, budgets=budgets)


@pytest.fixture
def store() -> Store:
    return Store({SECRET: a_token(), OTHER: a_token()}, [a_key(), a_key("o", provider="openai", value="sk-real")])


async def refused(at: Gated, sentence: str, *, headers: Mapping[str, str] | None = None, proxy_auth: str = "") -> None:
    """A request is refused with this sentence, in the provider's format, and never sent."""
    reply = await (await at.client(proxy_auth=proxy_auth)).send(WHOLE, headers, path=PATH)
    await reply.over()
    assert reply.status == 400
    error = json.loads(reply.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert sentence in error["message"]
    assert at.provider.requests == 0
    rows = await at.log.ended()
    assert rows[-1].outcome == "refused"


@every_wire
async def test_a_token_in_the_keys_place_becomes_the_key(tls: Tls, store: Store, wire: Wire) -> None:
    anthropic = wire.host == ANTHROPIC
    shown = {"x-api-key": SECRET} if anthropic else {"authorization": f"Bearer {SECRET}"}
    async with guarded(tls, store) as to:
        reply = await (await to.at.client(wire.host)).send(wire.body, shown, path=wire.path)
        served = await to.at.provider.next()
        await served.reply(wire.reply(Text("Yes?")), headers=wire.headers)
        await reply.over()
        assert wire.read(reply.body).text == "Yes?"
        sent = dict(served.headers)
        assert (sent.get("x-api-key"), sent.get("authorization")) == (
            (KEY, None) if anthropic else (None, "Bearer sk-real")
        )
        assert SECRET not in repr(served.headers)
        [row] = await to.at.log.ended()
        assert (row.project, row.token) == ("shop", store.tokens[SECRET].id)
        assert not any(secret in repr(to.at.log.records) for secret in (SECRET, KEY, "sk-real"))


@pytest.mark.parametrize("form", ["{}:", "agent:{}", "{}:x"])
@pytest.mark.parametrize("mode", ["passthrough", "both", "token"])
async def test_a_token_in_the_proxys_credentials_leaves_the_clients_key_alone(
    tls: Tls, store: Store, mode: str, form: str
) -> None:
    async with guarded(tls, store, mode=mode) as to:
        client = await to.at.client(proxy_auth=form.format(SECRET))
        for _ in range(2):
            reply = await client.send(ASK, {"authorization": "Bearer sk-ant-oat-own"}, path=PATH)
            served = await to.at.provider.next()
            await served.reply(stream(text(0, "So"), end("end_turn")))
            await reply.over()
            assert dict(served.headers)["authorization"] == "Bearer sk-ant-oat-own"
            assert not any(name.startswith("proxy-") for name in dict(served.headers))
        assert {(row.project, row.token) for row in await to.at.log.ended(2)} == {("shop", store.tokens[SECRET].id)}


@pytest.mark.parametrize("http", ["h1", "h2"])
async def test_who_needs_no_token_is_left_alone(tls: Tls, store: Store, http: Http) -> None:
    async with guarded(tls, store, mode="both", client=http, upstream=http) as to:
        reply = await (await to.at.client()).send(ASK, {"x-api-key": "sk-ant-own"}, path=PATH)
        served = await to.at.provider.next()
        await served.reply(stream(text(0, "So"), end("end_turn")))
        await reply.over()
        assert dict(served.headers)["x-api-key"] == "sk-ant-own"
        [row] = await to.at.log.ended()
        assert (row.project, row.token) == ("", "")


@pytest.mark.parametrize(
    ("mode", "headers", "proxy_auth", "sentence"),
    [  # tokens differ from run to run, and names of tests must not
        ("token", {"x-api-key": "sk-ant-own"}, "", WANTED),
        ("token", {}, "", WANTED),
        ("token", {}, "user:password", WANTED),
        ("both", {"x-api-key": UNKNOWN}, "", DENIED),
        ("both", {"x-api-key": "lg_cut"}, "", DENIED),
        ("both", {"x-api-key": SECRET + "\t"}, f"{UNKNOWN}:", TWO),
        ("both", {}, f"{UNKNOWN}:", DENIED),
        ("both", {"x-api-key": SECRET}, f"{OTHER}:", TWO),
        ("both", {"x-api-key": SECRET, "authorization": f"Bearer {OTHER}"}, "", TWO),
        ("passthrough", {"x-api-key": SECRET}, "", NO_KEYS),
        ("passthrough", {"x-api-key": "sk-own", "x-note": SECRET}, "", STRAY),
        ("both", {"x-api-key": "sk-own", "cookie": f"a=b; {SECRET}"}, "", STRAY),
        ("both", {"x-api-key": SECRET, "x-note": f"see {SECRET}"}, "", STRAY),
        ("both", {"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{SECRET}"}, "", STRAY),
        ("both", {"x-api-key": "sk-own", "cookie": f"session={SECRET}"}, "", STRAY),
        ("both", {"authorization": f"Basic {b64encode(f'{SECRET}:'.encode()).decode()}"}, "", STRAY),
    ],
    ids=range(16),
)
async def test_who_is_not_let_in(
    tls: Tls, store: Store, mode: str, headers: Mapping[str, str], proxy_auth: str, sentence: str
) -> None:
    async with guarded(tls, store, mode=mode) as to:
        await refused(to.at, sentence, headers=headers, proxy_auth=proxy_auth)
        assert not any(secret in repr(to.at.log.records) for secret in (SECRET, OTHER, UNKNOWN))


@pytest.mark.parametrize(
    "path",
    [f"/v1/files/{SECRET}", f"/v1/models?a={SECRET}", f"/v1/models?lg%5f={SECRET[3:]}"],
    ids=["path", "query", "encoded"],
)
async def test_a_token_in_a_path_never_leaves(tls: Tls, store: Store, path: str) -> None:
    async with guarded(tls, store) as to:
        reply = await (await to.at.client()).send(b"", {"x-api-key": "sk-own"}, path=path, method="GET")
        if "%5f" in path:  # it is none
            await (await to.at.provider.next()).reply(b"{}", headers={"content-type": "application/json"})
        await reply.over()
        assert (reply.status, to.at.provider.requests) == ((200, 1) if "%5f" in path else (400, 0))


@pytest.mark.parametrize(
    "shown",
    [
        {"authorization": f"Bearer {SECRET}"},
        {"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{SECRET}"},
    ],
    ids=["bearer", "protocol"],
)
@pytest.mark.parametrize("path", ["/v1/realtime?model=m", "/v1/responses", "/v1/unheard-of"])
async def test_a_token_in_an_upgrade_never_leaves(tls: Tls, store: Store, shown: Mapping[str, str], path: str) -> None:
    upgrade = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
    async with guarded(tls, store, mode="token") as to:
        client = await to.at.client(OPENAI, http="h1")
        reply = await client.send(b"", {**upgrade, "sec-websocket-key": "AAAA", **shown}, path=path, method="GET")
        await reply.over()
        assert (reply.status, to.at.provider.requests) == (426, 0)
        assert SECRET not in repr(to.at.log.records)


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        ({"expires_at": now()}, "expired"),
        ({"revoked_at": now()}, "revoked"),
        ({"project_active": False}, "inactive"),
        ({"request_quota": 0}, "exhausted"),
    ],
)
async def test_a_token_that_ended_is_told_how(tls: Tls, store: Store, change: Mapping[str, Any], standing: Any) -> None:
    store.tokens[SECRET] = replace(store.tokens[SECRET], **change)
    async with guarded(tls, store) as to:
        await refused(to.at, ENDED[standing], headers={"x-api-key": SECRET})


async def test_where_tokens_cannot_be_looked_up_nothing_passes(tls: Tls, store: Store) -> None:
    store.is_away = True
    async with guarded(tls, store) as to:
        reply = await (await to.at.client()).send(WHOLE, {"x-api-key": SECRET}, path=PATH)
        await reply.over()
        assert (reply.status, dict(reply.headers)["retry-after"]) == (429, "5")
        assert b"cannot be looked up at the moment" in reply.body
        assert b"database" not in reply.body
        assert to.at.provider.requests == 0


@pytest.mark.parametrize("whose", ["token", "project"])
async def test_a_grant_holds_for_the_token_and_its_project(tls: Tls, store: Store, whose: str) -> None:
    grant = Grant(allow=Allow(models=("other-*",)))
    named = {"token": "grant", "project": "project_grant"}[whose]
    store.tokens[SECRET] = replace(store.tokens[SECRET], **{named: grant})  # pyright: ignore[reportArgumentType]
    async with guarded(tls, store) as to:
        sentence = "the token may not be used for the model claude-x"
        await refused(to.at, sentence, headers={"x-api-key": SECRET})
        [row] = await to.at.log.ended()
        assert row.project == "shop"


async def test_a_project_without_a_key_for_the_provider(tls: Tls, store: Store) -> None:
    store.kept.clear()
    async with guarded(tls, store) as to:
        sentence = f"there is no key for {ANTHROPIC} to put in the token's place; its operator adds one"
        await refused(to.at, sentence, headers={"x-api-key": SECRET})


async def test_a_request_that_the_provider_never_answered_is_not_charged(tls: Tls, store: Store) -> None:
    store.tokens[SECRET] = a_token(request_quota=2)
    async with guarded(tls, store) as to:
        client = await to.at.client()
        reply = await client.send(WHOLE, {"x-api-key": SECRET}, path=PATH)
        served = await to.at.provider.next()
        assert store.charged == 1
        await served.reset()
        await reply.over()
        await to.at.log.ended()
        assert store.charged == 0
        for _ in range(2):
            reply = await (await to.at.client()).send(ASK, {"x-api-key": SECRET}, path=PATH)
            await (await to.at.provider.next()).reply(stream(text(0, "So"), end("end_turn")))
            await reply.over()
        await to.at.log.ended(3)
        assert store.charged == 2
        reply = await (await to.at.client()).send(WHOLE, {"x-api-key": SECRET}, path=PATH)
        await reply.over()
        assert ENDED["exhausted"].encode() in reply.body


async def test_a_request_that_a_rule_refuses_is_not_charged(tls: Tls, store: Store) -> None:
    store.tokens[SECRET] = a_token(request_quota=1)
    no = {"name": "no", "use": "refuse", "with": {"pattern": "hi"}}
    async with guarded(tls, store, no) as to:
        reply = await (await to.at.client()).send(WHOLE, {"x-api-key": SECRET}, path=PATH)
        await reply.over()
        await to.at.log.ended()
        assert (reply.status, store.charged) == (400, 0)


async def test_a_stream_is_cut_when_its_token_is_revoked(tls: Tls, store: Store) -> None:
    async with guarded(tls, store) as to:
        revoked = await (await to.at.client(proxy_auth=f"{SECRET}:")).send(ASK, path=PATH)
        served = await to.at.provider.next()
        await served.start()
        await served.send(START, *text(0, "So"))
        await revoked.until(b"So")
        other = await (await to.at.client(proxy_auth=f"{OTHER}:")).send(ASK, path=PATH)
        going_on = await to.at.provider.next()
        store.tokens[SECRET] = a_token(revoked_at=now())
        await to.changed()
        await revoked.over()
        await soon(served.gone.wait())
        await going_on.reply(stream(text(0, "So"), end("end_turn")))
        await other.over()
        assert other.status == 200
        rows = {row.outcome for row in await to.at.log.ended(2)}
        assert rows == {"blocked", "passed"}


async def test_a_side_call_is_let_in_by_the_same_door(tls: Tls, store: Store) -> None:
    store.tokens[SECRET] = a_token(grant=Grant(allow=Allow(endpoints=("/v1/models",))))
    async with guarded(tls, store, mode="token") as to:
        client = await to.at.client()
        reply = await client.send(b"", {"x-api-key": SECRET}, path="/v1/models", method="GET")
        served = await to.at.provider.next()
        await served.reply(b"{}", headers={"content-type": "application/json"})
        await reply.over()
        assert (reply.status, dict(served.headers)["x-api-key"]) == (200, KEY)
        for headers, path in (({"x-api-key": SECRET}, "/v1/files"), ({"x-api-key": "sk-own"}, "/v1/models")):
            reply = await (await to.at.client()).send(b"", headers, path=path, method="GET")
            await reply.over()
            assert reply.status == 400
        assert to.at.provider.requests == 1


async def test_a_tunnel_to_another_host_asks_for_credentials_where_a_token_is_needed(tls: Tls, store: Store) -> None:
    async with guarded(tls, store, mode="token") as to:
        for shown in ("", f"{UNKNOWN}:", "user:password"):
            with pytest.raises(ConnectionError, match=r'(?is)407.*proxy-authenticate: Basic realm="Lockgate"'):
                await to.at.client("other.example", proxy_auth=shown)


async def test_a_key_that_the_provider_limits_rests(tls: Tls, store: Store) -> None:
    store.kept = [a_key("a", value="sk-a"), a_key("b", value="sk-b")]
    async with guarded(tls, store) as to:
        used: list[str] = []
        for status in (429, 200, 200, 200):
            reply = await (await to.at.client()).send(WHOLE, {"x-api-key": SECRET}, path=PATH)
            served = await to.at.provider.next()
            used.append(dict(served.headers)["x-api-key"])
            await served.reply(b"{}", status=status, headers={"content-type": "application/json", "retry-after": "600"})
            await reply.over()
        assert used == ["sk-a", "sk-b", "sk-b", "sk-b"]
