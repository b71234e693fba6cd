"""The scripted provider with a tape: it keeps what arrives and what leaves, byte for byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lockgate.redaction import redact_headers
from tests.recorded.recordings import Exchange, Headers
from tests.upstream.channels import Channel
from tests.upstream.provider import Provider
from tests.upstream.received import Received
from tests.upstream.script import Script


class Tape(Provider):
    """Keeps every exchange in `exchanges_taped`, in the order in which requests came; `run` names those that come."""

    def __init__(self, script: Script, *, certificate: Path, neutral: Callable[[bytes], bytes], **options: Any) -> None:
        super().__init__(script, certificate=certificate, **options)
        self.run = ""
        self.taped: dict[int, Exchange] = {}
        self._neutral = neutral
        self._began = time.monotonic()

    async def _answer(self, received: Received, channel: Channel) -> None:
        asked = self._now()
        self.taped[received.number] = opened = self._opened(received, asked)
        taping = TapedChannel(channel, self._now)
        try:
            await super()._answer(received, taping)
        finally:
            self.taped[received.number] = replace(
                opened,
                status=taping.status,
                response_headers=taping.headers,
                response_body=b"".join(taping.pieces),
                first_byte_ms=taping.first_byte_ms or self._now(),
                ended_ms=self._now(),
                ending=self.endings.get(received.number, "gone"),
            )

    def _opened(self, received: Received, asked: float) -> Exchange:
        body = self._neutral(received.raw)
        headers = [(name, self._neutral(value.encode()).decode()) for name, value in received.headers]
        headers = [(name, str(len(body)) if name.lower() == "content-length" else value) for name, value in headers]
        return Exchange(
            number=received.number,
            run=self.run,
            connection=received.connection,
            http=received.http,
            method=received.method,
            path=received.path,
            request_headers=tuple(redact_headers(headers)),
            request_body=body,
            status=0,
            response_headers=(),
            response_body=b"",
            asked_ms=asked,
            first_byte_ms=0.0,
            ended_ms=0.0,
            ending="gone",
        )

    def _now(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)


class TapedChannel:
    """Another channel, and what went through it."""

    def __init__(self, channel: Channel, now: Callable[[], float]) -> None:
        self._channel, self._now = channel, now
        self.status = 0
        self.headers: Headers = ()
        self.pieces: list[bytes] = []
        self.first_byte_ms = 0.0

    async def start(self, status: int, headers: dict[str, str], length: int | None) -> None:
        framing = () if length is None else (("content-length", str(length)),)
        self.status, self.headers = status, (*headers.items(), *framing)
        await self._channel.start(status, headers, length)

    async def send(self, data: bytes) -> None:
        self.first_byte_ms = self.first_byte_ms or self._now()
        self.pieces.append(data)
        await self._channel.send(data)

    async def finish(self) -> None:
        await self._channel.finish()

    async def cut(self) -> None:
        await self._channel.cut()

    async def reset(self) -> None:
        await self._channel.reset()
