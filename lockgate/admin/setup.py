"""The set-up link: who has it makes the first administrator. Only its digest is kept, and only in memory. No I/O."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from lockgate.access.keyring import Keyring
from lockgate.access.token import SETUP_PREFIX, make_token


class Setup:
    """There is at most one link; it is good once, and for a while."""

    def __init__(self, keyring: Keyring, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keyring, self._seconds, self._clock = keyring, seconds, clock
        self._digest: bytes | None = None
        self._until = 0.0

    def begin(self) -> str:
        """A new token, in the place of any before."""
        secret = make_token(SETUP_PREFIX)
        self._digest, self._until = self._keyring.digest(secret), self._clock() + self._seconds
        return secret

    def fits(self, secret: str) -> bool:
        """Whether this is the token, which stays good."""
        known = self._digest or b""
        return hmac.compare_digest(known, self._keyring.digest(secret)) and self._clock() < self._until

    def take(self, secret: str) -> bool:
        """Whether this was the token, which is good no more."""
        if not self.fits(secret):
            return False
        self._digest = None
        return True

    def give_back(self, secret: str) -> None:
        """Nothing came of it, such as for a name that is none: it may be tried again, until its time is over."""
        if self._digest is None:
            self._digest = self._keyring.digest(secret)
