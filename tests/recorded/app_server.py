"""Codex's app server, over its standard input and output: what editors' extensions speak to it."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from tests.recorded.stage import PROJECT, Stage

ANSWER_SECONDS = 60
LINE_BYTES = 16 * 2**20


class AppServer:
    """One server process; requests are answered in turn, and notifications between them are kept until asked for."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = count()
        self._seen: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def started(cls, binary: str, stage: Stage) -> AsyncGenerator[AppServer]:
        environment = {**stage.environment, **stage.proxy}
        process = await asyncio.create_subprocess_exec(
            *(binary, "app-server"), env=environment, cwd=PROJECT, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
            limit=LINE_BYTES,
        )  # fmt: skip
        try:
            server = cls(process)
            await server.ask("initialize", clientInfo={"name": "codex_vscode", "title": "Codex", "version": "0.1.0"})
            await server._send({"method": "initialized"})
            yield server
        finally:
            process.kill()
            await process.wait()

    async def ask(self, method: str, **params: Any) -> Any:
        """The result; AssertionError with what the server said instead."""
        number = next(self._numbers)
        await self._send({"method": method, "id": number, "params": params})
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                message = await self._next()
                if message.get("id") == number and "method" not in message:
                    assert "result" in message, f"{method}: {message}"
                    return message["result"]
                self._seen.append(message)

    async def told(self, method: str) -> None:
        """Waits for a notification that was not waited for before."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not any(message.get("method") == method for message in self._seen):
                self._seen.append(await self._next())
        self._seen.clear()

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout
        line = await self._process.stdout.readline()
        assert line, "the app server ended"
        return json.loads(line)
