"""Who may speak: a token in the proxy's credentials, or in the place of a provider's key, is held to its grant."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from mitmproxy import connection, http

from lockgate.access.allowed import FROM_ADDRESS, Reach, refusal
from lockgate.access.charges import Charges, Stay
from lockgate.access.keys import Keys
from lockgate.access.limits import BUSY_SECONDS, Limited
from lockgate.access.records import Token
from lockgate.access.refusals import Refusals
from lockgate.access.tokens import Tokens
from lockgate.addons.credentials import has_token, key_tokens, proxy_token, put_key
from lockgate.addons.record import client_of
from lockgate.config import Config, Host
from lockgate.errors import AccessError, StorageError
from lockgate.exchange import Exchange

log = logging.getLogger(__name__)

WANTED = "a token is needed: HTTPS_PROXY=http://lockgate:TOKEN@HOST:PORT, or give it in place of the provider's key"
TWO = "the proxy's credentials and the provider's key are two different tokens: give one"
NO_KEYS = "a token is in place of the provider's key, and 'access.mode' is 'passthrough': give the provider's own key"
STRAY = "a token stands in this request where no key belongs: it would be sent to the provider"

UNKNOWN = "what the token may do cannot be looked up at the moment"


@dataclass(slots=True)
class Guest:
    """Who sends a request."""

    token: Token
    secret: str = field(repr=False)
    in_key: bool
    """Whether the token stands in the place of the provider's key."""
    key_id: str = ""
    """The provider key that went in its place."""
    charged: bool = False


class Door:
    """Lets requests in. Whoever needs no token, and shows none, passes at once."""

    def __init__(
        self, config: Config, tokens: Tokens, keys: Keys, charges: Charges, refusals: Refusals | None = None
    ) -> None:
        self._mode, self._refusals = config.access_mode, refusals or Refusals()
        self._tokens, self._keys, self.charges = tokens, keys, charges
        self._shown: WeakKeyDictionary[connection.Client, str] = WeakKeyDictionary()

    def connect(self, flow: http.HTTPFlow) -> None:
        """Remember what a tunnel's credentials say for all that comes through it; nobody after us sees them."""
        if secret := proxy_token(flow.request.headers):
            self._shown[flow.client_conn] = secret
        flow.request.headers.pop("proxy-authorization", None)

    def concerns(self, flow: http.HTTPFlow) -> bool:
        """Whether this request has to be looked at: it shows a token, or needs one."""
        if "proxy-authorization" in flow.request.headers:  # sent without a tunnel
            self.connect(flow)
        return self._mode == "token" or flow.client_conn in self._shown or has_token(flow.request)

    async def enter_other(self, flow: http.HTTPFlow) -> None:
        """To a host that is no model host. Raises AccessError for who needs a token and shows none that can be used."""
        secret = self._shown.get(flow.client_conn)
        if secret is not None:
            await _known(self._tokens.look_up(secret))
        elif self._mode == "token":
            raise AccessError(WANTED, kind="missing")

    async def enter(self, flow: http.HTTPFlow) -> Guest | None:
        """Who this is; None for who needs no token, and shows none.

        Raises AccessError for who may not.
        """
        by_proxy, in_key = self._shown.get(flow.client_conn, ""), key_tokens(flow.request)
        if in_key and self._tokens.is_own(by_proxy):
            by_proxy = ""  # `lockgate run` gave it to whoever asks; this is who it is
        shown = {*in_key, *([by_proxy] if by_proxy else [])}
        if len(shown) > 1:
            raise AccessError(TWO, kind="ambiguous")
        if shown:
            if in_key and self._mode == "passthrough":
                raise AccessError(NO_KEYS, kind="misplaced")
            secret = shown.pop()
            return Guest(await _known(self._tokens.look_up(secret)), secret, bool(in_key))
        if has_token(flow.request):
            raise AccessError(STRAY, kind="misplaced")
        if self._mode == "token":
            raise AccessError(WANTED, kind="missing")
        return None

    def admit(self, guest: Guest, flow: http.HTTPFlow, host: Host, asked: str, x: Exchange | None = None) -> None:
        """Hold the request to the grants of the token and its project. Raises AccessError."""
        reach = Reach(
            provider=host.format, host=asked, method=flow.request.method, path=flow.request.path,
            client=client_of(flow), origin=flow.request.headers.get("origin", ""), model=x.model if x else "",
            document=x.request.document if x else {},
        )  # fmt: skip
        for grant in (guest.token.project_grant, guest.token.grant):
            if why := refusal(grant.allow, reach):
                kind = "address" if why == FROM_ADDRESS else "forbidden"
                raise AccessError(f"the token may not be used {why}", kind=kind)

    async def seat(self, guest: Guest | None, x: Exchange, request_bytes: int) -> Stay | None:
        """Take of the limits and budgets that the exchange is held to; None where there are none.

        Raises AccessError where they have no room for it.
        """
        if guest is None and not self.charges.hold_everyone:
            return None
        return await _known(self.charges.begin(x, guest.token if guest else None, request_bytes))

    async def charge(self, guest: Guest) -> None:
        """Count the request before it is sent. Raises AccessError where the token's requests are used up."""
        await _known(self._tokens.charge(guest.token))
        guest.charged = True

    async def exchange(self, guest: Guest, flow: http.HTTPFlow, host: Host, asked: str) -> None:
        """Put the provider's key in the token's place. Raises AccessError where there is none, or a token is left."""
        if guest.in_key:
            guest.key_id, key = await _known(self._keys.choose(guest.token.project_id, asked, host.format))
            put_key(flow.request, host.format, key)
        if has_token(flow.request):
            raise AccessError(STRAY, kind="misplaced")

    def answered(self, guest: Guest, status: int, retry_after: str) -> None:
        """The provider has answered: the request counts."""
        guest.charged = False
        if guest.key_id:
            self._keys.answered(guest.key_id, status, retry_after)

    async def leave(self, guest: Guest) -> None:
        """The exchange is over; where the provider has not answered, nothing was had for the request."""
        if guest.charged:
            guest.charged = False
            await self._tokens.give_back(guest.token)

    async def refusal(self, guest: Guest) -> AccessError | None:
        """Why a token that was let in could not be used now; None where it could. Raises StorageError."""
        try:
            await self._tokens.look_up(guest.secret)
        except AccessError as error:
            return error
        return None

    def refused(self, error: Exception, flow: http.HTTPFlow, asked: str, guest: Guest | None = None) -> None:
        """Have it noted in the audit trail: who may not, or could not be checked."""
        token = guest.token.id if guest else ""
        cause = error.__cause__ if isinstance(error.__cause__, StorageError) else error
        is_new = self._refusals.note(cause, where=client_of(flow), subject=f"host {asked}", token=token)
        if isinstance(error, AccessError):
            error.repeats = not is_new


async def _known[Result](work: Awaitable[Result]) -> Result:
    """Whoever asks is told to come again where the database is away, and nothing about it."""
    try:
        return await work
    except StorageError as error:
        log.warning("a request was refused: %s", error)
        raise Limited(UNKNOWN, BUSY_SECONDS) from error
