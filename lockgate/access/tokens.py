"""Tokens as they are shown: recognised at once where they were seen before, else looked up, and counted.

What is known is bounded, and forgotten whole whenever something about access changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from lockgate.access.keyring import Keyring
from lockgate.access.records import Standing, Token
from lockgate.access.token import is_token, make_token
from lockgate.errors import AccessError
from lockgate.records import now

KNOWN_TOKENS = 10_000
"""Remembered, those that are none included: so many cost a few megabytes."""
CLEAN_EVERY = timedelta(hours=1)
KEPT = timedelta(days=30)
"""So long a token is still there to be looked at when it has ended."""
DENIED = "the token is not valid; ask whoever gave it to you for another one"
"""One sentence for what is malformed and what is unknown: it tells nobody which tokens there are."""
ENDED: Mapping[Standing, str] = {
    "expired": "the token has expired; ask for another one, or have it refreshed",
    "revoked": "the token was revoked",
    "inactive": "the token's project is not active",
    "exhausted": "the token's requests are used up",
}
"""Told only to who has shown a token that exists."""


@dataclass(frozen=True, slots=True)
class Used:
    """So many requests, and when the last one was."""

    requests: int
    at: datetime


class TokenStore(Protocol):
    """Where tokens are kept. Raises StorageError where it cannot be asked."""

    async def find(self, digests: Sequence[bytes]) -> Token | None: ...

    async def charge(self, id: str) -> bool:
        """Count a request of a token that has a quota; False where the quota is used up. Exact, whoever else counts."""
        ...

    async def give_back(self, id: str) -> None:
        """Take back what was charged: nothing was had for it."""
        ...

    async def add_used(self, used: Mapping[str, Used]) -> None:
        """Count requests of tokens without a quota, and when each token was used last."""
        ...

    async def clean_up(self, *, ended_before: datetime) -> int:
        """Remove tokens that expired or were revoked before this time; gives how many."""
        ...


class Tokens:
    """All the tokens of one proxy's clients."""

    def __init__(self, store: TokenStore, keyring: Keyring, *, clock: Callable[[], datetime] = now) -> None:
        self._store, self._keyring, self._clock = store, keyring, clock
        self._known: OrderedDict[bytes, Token | None] = OrderedDict()
        self._own: dict[bytes, Token] = {}
        self._used: dict[str, Used] = {}
        self._generation = 0
        self._cleaned = clock()

    def issue(self, token: Token) -> str:
        """A secret for a token of no project, which this process alone knows, and nobody keeps."""
        secret = make_token()
        self._own[self._keyring.digest(secret)] = token
        return secret

    def is_own(self, secret: str) -> bool:
        """Whether this process has issued it."""
        return bool(self._own) and self._keyring.digest(secret) in self._own

    def known(self, secret: str) -> Token | None:
        """The token, where nothing has to be looked up. Raises AccessError for one that cannot be used."""
        if not is_token(secret):
            raise AccessError(DENIED, kind="malformed")
        digest = self._keyring.digest(secret)
        if digest in self._own:
            return self._checked(self._own[digest])
        if digest not in self._known:
            return None
        self._known.move_to_end(digest)
        return self._checked(self._known[digest])

    async def look_up(self, secret: str) -> Token:
        """Raises AccessError for what is no token that can be used, StorageError where that cannot be known."""
        if (token := self.known(secret)) is not None:
            return token
        digests, generation = self._keyring.digests(secret), self._generation
        found = await self._store.find(digests)
        if generation == self._generation:
            self._known[digests[0]] = found
            if len(self._known) > KNOWN_TOKENS:
                self._known.popitem(last=False)
        return self._checked(found)

    def forget(self) -> None:
        """Something about access has changed: what was known may not be so any more."""
        self._generation += 1
        self._known.clear()

    async def charge(self, token: Token) -> None:
        """Count a request before it is sent. Raises AccessError where the token's requests are used up."""
        if token.request_quota is not None:
            if not await self._store.charge(token.id):
                raise AccessError(ENDED["exhausted"], kind="exhausted", token=token.id)
            self._add(token, 0)
        else:
            self._add(token, 1)

    async def give_back(self, token: Token) -> None:
        """The request that was counted failed before the provider answered."""
        if token.request_quota is not None:
            await self._store.give_back(token.id)
        else:
            self._add(token, -1)

    async def write_used(self) -> None:
        """Write down what was counted since the last time; what cannot be written is counted later."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            await self._store.add_used(used)
        except BaseException:
            for id, one in used.items():
                later = self._used.get(id)
                self._used[id] = Used(one.requests + later.requests, later.at) if later else one
            raise

    async def look_after(self) -> None:
        """Write down what was counted, and now and then remove what ended."""
        await self.write_used()
        if self._clock() - self._cleaned >= CLEAN_EVERY:
            self._cleaned = self._clock()
            await self._store.clean_up(ended_before=self._cleaned - KEPT)

    def _add(self, token: Token, requests: int) -> None:
        if not token.project_id:
            return  # issued here
        before = self._used.get(token.id)
        self._used[token.id] = Used((before.requests if before else 0) + requests, self._clock())

    def _checked(self, token: Token | None) -> Token:
        if token is None:
            raise AccessError(DENIED, kind="unknown")
        standing = token.standing(self._clock())
        if standing not in ("active", "exhausted"):  # a quota is counted where it is charged
            raise AccessError(ENDED[standing], kind=standing, token=token.id)
        return token
