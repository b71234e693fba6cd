"""A script that runs at a Redis: asked in order over one connection, and nobody waits for long.

What is asked while an answer is on its way goes out together. Where Redis does not answer in time, the connection is
given up with all that waits for it, and whoever asks is told so at once until Redis is there again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from lockgate.errors import AccessError, ConfigError, told
from lockgate.records import now
from lockgate.sections import without_credentials

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

logger = logging.getLogger("lockgate.access")

ANSWER_SECONDS = 0.1
"""Of what is under way, and again of what waits behind it: an exchange is held up by two of them at most."""
GRACE_SECONDS = 0.02
"""What came in time may not have been looked at, where the loop was busy."""
CONNECT_SECONDS = 1.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 1.0
MOST_WAITING = 10_000
BATCH = 500
PROBE = "lockgate:{limits}:seen"
"""Written before a Redis is believed: a replica, or one that is full, would not take it."""


class Away(AccessError):
    """Redis does not answer."""


@dataclass(frozen=True, slots=True)
class _Call:
    keys: Sequence[str]
    arguments: Sequence[str | int]
    answer: asyncio.Future[Any]


class RedisScript:
    """`start` needs a running loop; what is asked before is answered after. `back` is called whenever Redis answers
    again, also for the first time. `otherwise` ends the sentence that says that it does not."""

    def __init__(self, url: str, script: str, *, back: Callable[[], None], otherwise: str) -> None:
        """Touches nothing yet. Raises ConfigError, which never tells the URL."""
        self._url, self._script, self._back, self._otherwise = url, script, back, otherwise
        self._sha = sha1(script.encode(), usedforsecurity=False).hexdigest()
        self.shown = without_credentials(url)
        self.away: str | None = None
        """Why Redis does not answer; None while it does, or nobody knows yet."""
        self.away_since = now()
        """If it is away."""
        self._calls: list[_Call] = []
        self._wanted, self._idle = asyncio.Event(), asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._task: asyncio.Task[None] | None = None
        _connection(url)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lockgate-limits")

    async def close(self) -> None:
        """What was asked is answered before, where that does not take long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                while self._calls and self.away is None:
                    self._idle.clear()
                    await self._idle.wait()
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=ANSWER_SECONDS)
        self._give_up("it is not needed any more")
        await self._drop()

    async def ask(self, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """What the script gives. Raises Away."""
        return await self._put(keys, arguments)

    def tell(self, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        """The same, and nobody waits for it; while Redis is away, it is left out."""
        self._put(keys, arguments).add_done_callback(_heard)

    def _put(self, keys: Sequence[str], arguments: Sequence[str | int]) -> asyncio.Future[Any]:
        call = _Call(keys, arguments, asyncio.get_running_loop().create_future())
        if self.away is not None:
            call.answer.set_exception(Away(self.away))
        elif len(self._calls) >= MOST_WAITING:
            call.answer.set_exception(Away(f"{MOST_WAITING:,} questions wait for it already"))
        else:
            self._calls.append(call)
            self._wanted.set()
        return call.answer

    async def _run(self) -> None:
        while True:
            try:
                self._connection = self._connection or await self._connected()
                await self._wanted.wait()
                await self._answer(self._calls[:BATCH])
            except Exception as error:
                self._lost(error)
                await self._drop()

    async def _connected(self) -> AbstractConnection:
        """Once it answers, and as fast as it has to. Tries for ever, and says so once."""
        pause = FIRST_RETRY_SECONDS
        while True:
            connection = self._connection = _connection(self._url)
            try:
                await _within(CONNECT_SECONDS, connection.connect())
                for answer in await _within(ANSWER_SECONDS, _answers(connection, [("SET", PROBE, 1, "PX", 60_000)])):
                    if isinstance(answer, Exception):
                        raise answer
            except Exception as error:
                self._lost(error)
                await self._drop()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_RETRY_SECONDS)
            else:
                if self.away is not None:
                    logger.warning("limits are counted in Redis at %s again", self.shown)
                self.away = None
                self._back()
                return connection

    async def _answer(self, calls: Sequence[_Call]) -> None:
        """Raises whatever keeps Redis from answering all of them."""
        from redis.exceptions import NoScriptError

        answers = await self._evaluated("EVALSHA", self._sha, calls)
        if unknown := [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]:
            again = await self._evaluated("EVAL", self._script, [calls[i] for i in unknown])
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        if error := next((answer for answer in answers if isinstance(answer, Exception)), None):
            raise error
        del self._calls[: len(calls)]
        if not self._calls:
            self._wanted.clear()
            self._idle.set()
        for call, answer in zip(calls, answers, strict=True):
            if not call.answer.done():
                call.answer.set_result(answer)

    async def _evaluated(self, command: str, script: str, calls: Sequence[_Call]) -> list[Any]:
        assert self._connection
        commands = [(command, script, len(call.keys), *call.keys, *call.arguments) for call in calls]
        return await _within(ANSWER_SECONDS, _answers(self._connection, commands))

    def _lost(self, error: Exception) -> None:
        why = _why(error)
        if self.away is None:
            self.away_since = now()
            logger.warning("limits cannot be counted in Redis at %s: %s; %s", self.shown, why, self._otherwise)
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        self.away = why
        calls, self._calls = self._calls, []
        self._wanted.clear()
        self._idle.set()
        for call in calls:
            if not call.answer.done():
                call.answer.set_exception(Away(why))
                call.answer.add_done_callback(_heard)

    async def _drop(self) -> None:
        """The connection may still bring an answer that nobody waits for: it is not used again."""
        if self._connection is not None:
            with suppress(Exception):
                await _within(ANSWER_SECONDS, self._connection.disconnect(nowait=True))
        self._connection = None


def _connection(url: str) -> AbstractConnection:
    """One alone, without redis-py's pool: that doubles the price, and connects again without a word."""
    from redis.asyncio import ConnectionPool  # 0.4 s, and not needed without it
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    try:
        pool: Any = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, retry=Retry(NoBackoff(), 0), decode_responses=True, protocol=2
        )
        return pool.make_connection()
    except (ValueError, TypeError) as error:
        form = "write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS"
        raise ConfigError(f"'access.limits' names no Redis ({without_credentials(url)}): {form}") from error


async def _answers(connection: AbstractConnection, commands: Sequence[Sequence[str | int]]) -> list[Any]:
    """To each command its answer, or the error that Redis answers with."""
    from redis.exceptions import ResponseError

    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


def _why(error: Exception) -> str:
    from redis.exceptions import RedisError

    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return " ".join(str(error).split()) if isinstance(error, (RedisError, OSError)) else told(error)


async def _within[Result](seconds: float, work: Awaitable[Result]) -> Result:
    """What the work gives. Raises TimeoutError where it takes longer, whether or not it hears of that."""
    task = asyncio.ensure_future(work)
    try:
        for patience in (seconds, GRACE_SECONDS):
            if (await asyncio.wait({task}, timeout=patience))[0]:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
        task.add_done_callback(_heard)
        await asyncio.wait({task}, timeout=GRACE_SECONDS)  # what it had opened is closed by then, mostly


def _heard(answer: asyncio.Future[Any]) -> None:
    """Nobody waits for it: an error that it ends with is nobody's."""
    if not answer.cancelled():
        answer.exception()
