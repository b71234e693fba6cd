"""Posts to other programs what they want to know, signed as the Standard Webhooks specification says.

Nobody waits for it and nothing depends on it: what cannot be told in time is logged, by the host and never the path,
which may be a secret.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lockgate.errors import Error, told
from lockgate.ports import Webhook
from lockgate.records import now
from lockgate.routing.bounded import within
from lockgate.routing.models import trust
from lockgate.wire.document import dumps

if TYPE_CHECKING:
    import httpx2

logger = logging.getLogger("lockgate.webhooks")

ATTEMPT_SECONDS = 10.0
PAUSES = (1.0, 5.0, 20.0)
"""Before each further attempt, in seconds."""
UNDER_WAY = 100
"""More than this many at once, and the one that should be told is not there."""
CLOSE_SECONDS = 2.0


class HttpWebhooks:
    """The port `Webhooks` over HTTP: no redirects, no proxy of the environment, TLS verified."""

    def __init__(self, *, pauses: Sequence[float] = PAUSES) -> None:
        self._pauses = pauses
        self._client: httpx2.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, to: Webhook, id: str, document: Mapping[str, Any], *, until: datetime) -> None:
        """Tell it in the background; tried again until then, a few times at most."""
        host = urlsplit(to.url).hostname
        if len(self._tasks) >= UNDER_WAY:
            logger.warning("the webhook at %s is not told of %s: too much is under way to it already", host, id)
            return
        task = asyncio.get_running_loop().create_task(self._tell(to, id, dumps(document), until))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """What is under way is given up."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        if self._client is not None:
            await self._client.aclose()

    async def _tell(self, to: Webhook, id: str, body: bytes, until: datetime) -> None:
        host = urlsplit(to.url).hostname
        why = ""
        for pause in (*self._pauses, None):
            try:
                if (why := await self._attempt(to, id, body)) is None:
                    return
            except Exception as error:
                why = told(error) if isinstance(error, Error) else type(error).__name__
            if pause is None or (until - now()).total_seconds() <= pause:
                break
            await asyncio.sleep(pause)
        logger.warning("the webhook at %s was not told of %s: %s", host, id, why)

    async def _attempt(self, to: Webhook, id: str, body: bytes) -> str | None:
        """None where it was taken; else why not."""
        try:
            status = await within(ATTEMPT_SECONDS, self._send(to, id, body))
        except TimeoutError:
            return f"no answer within {ATTEMPT_SECONDS:g} s"
        return None if 200 <= status < 300 else f"it answered with status {status}"

    async def _send(self, to: Webhook, id: str, body: bytes) -> int:
        import httpx2  # 0.1 s, and only who has a webhook needs it

        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=trust(None), trust_env=False, follow_redirects=False, timeout=ATTEMPT_SECONDS
            )
        async with self._client.stream("POST", to.url, content=body, headers=signed(to.key, id, body)) as response:
            return response.status_code


def signed(key: bytes, id: str, body: bytes, moment: datetime | None = None) -> dict[str, str]:
    """The headers of a message: whoever knows the key can tell that it is ours, whole and new."""
    timestamp = str(int((moment or now()).timestamp()))
    digest = hmac.new(key, b".".join((id.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "user-agent": "lockgate",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
