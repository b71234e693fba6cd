"""The provider keys that stand behind tokens: chosen in turn, left alone for a while where a provider refuses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lockgate.access.records import KeySource
from lockgate.config import secret_from_environment
from lockgate.errors import AccessError, ConfigError

READ_SECONDS = 300.0
"""How long what a variable, file or command gave is good for."""
COMMAND_SECONDS = 20.0
REFUSED_SECONDS = 300.0
"""How long a key that the provider does not know rests: somebody may mend it there."""
LIMITED_SECONDS = 5.0
"""How long a key rests whose provider says that it is too much, and not until when."""
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """A key that can be used. `value` is the key, or where it stands."""

    id: str
    provider: str
    project_id: str | None
    source: KeySource
    value: str = field(repr=False)


class KeyStore(Protocol):
    """Where keys are kept. Raises StorageError, or ConfigError for one that cannot be decrypted."""

    async def keys(self) -> Sequence[KeptKey]: ...


@dataclass(slots=True)
class _State:
    used: int = 0
    rests_until: float = 0.0
    read: str = field(default="", repr=False)
    read_until: float = 0.0


class Keys:
    """All keys of one proxy."""

    def __init__(self, store: KeyStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._kept: Sequence[KeptKey] | None = None
        self._states: dict[str, _State] = {}

    def forget(self) -> None:
        """Something about access has changed."""
        self._kept = None

    async def choose(self, project_id: str, host: str, provider: str) -> tuple[str, str]:
        """The id of the key to use, and the key: the one used least of those for the project, else for all.

        Raises AccessError where there is none, StorageError where that cannot be known.
        """
        if self._kept is None:
            self._kept = await self._store.keys()
            ids = {key.id for key in self._kept}
            self._states = {id: state for id, state in self._states.items() if id in ids}
        fit = [key for key in self._kept if key.provider in (host, provider) and key.project_id in (project_id, None)]
        own = [key for key in fit if key.project_id is not None] or fit
        if not own:
            raise AccessError(
                f"there is no key for {host} to put in the token's place; its operator adds one", kind="no_key"
            )
        awake = [key for key in own if self._state(key).rests_until <= self._clock()]
        if not awake:
            raise AccessError(
                f"every key for {host} is refused or limited by the provider just now; try again later", kind="no_key"
            )
        key = min(awake, key=lambda one: self._state(one).used)
        self._state(key).used += 1
        return key.id, await self._value(key)

    def answered(self, id: str, status: int, retry_after: str = "") -> None:
        """What the provider said to a request with this key."""
        state = self._states.get(id)
        if state is None:
            return
        if status == 401:
            state.rests_until, state.read_until = self._clock() + REFUSED_SECONDS, 0.0
        elif status == 429:
            seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else LIMITED_SECONDS
            state.rests_until = self._clock() + min(seconds, LONGEST_SECONDS)

    def _state(self, key: KeptKey) -> _State:
        return self._states.setdefault(key.id, _State())

    async def _value(self, key: KeptKey) -> str:
        """Raises AccessError where it cannot be read; the sentence never holds what was read."""
        state = self._state(key)
        if key.source == "kept":
            return key.value
        if state.read_until <= self._clock():
            try:
                state.read = _one_line(await _read(key))
            except (ConfigError, OSError, TimeoutError, UnicodeDecodeError) as error:
                raise AccessError(
                    f"the key for {key.provider} cannot be read from its {key.source}", kind="no_key"
                ) from error
            state.read_until = self._clock() + READ_SECONDS
        return state.read


async def _read(key: KeptKey) -> str:
    match key.source:
        case "environment":
            return secret_from_environment(key.value)
        case "file":
            return await asyncio.to_thread(Path(key.value).read_text, "utf-8")
        case _:
            return await _asked(key.value)


async def _asked(command: str) -> str:
    """What a command of the operator's prints, given to the shell as they wrote it."""
    run = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            printed, _ = await run.communicate()
    finally:
        if run.returncode is None:
            run.kill()
    if run.returncode:
        raise ConfigError("the command failed")
    return printed.decode("utf-8")


def _one_line(text: str) -> str:
    line = text.strip()
    if not line or not line.isprintable():
        raise ConfigError("a key is one line")
    return line
