"""Records the sessions anew: `python -m tests.recorded.record [claude] [codex]`. It takes about a minute."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from tests.recorded import claude_story, codex_story
from tests.recorded.recordings import FOLDER, Recording, store

STORIES: Mapping[str, Callable[[], Awaitable[Recording]]] = {
    "claude": claude_story.record,
    "codex": codex_story.record,
}
LIMIT_SECONDS = 600


async def record(name: str) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        recording = await STORIES[name]()
    store(name, recording)
    size = (FOLDER / f"{name}.jsonl.zst").stat().st_size
    raw = sum(len(one.request_body) + len(one.response_body) for one in recording.exchanges)
    print(f"{name}: {len(recording.exchanges)} exchanges, {raw:,} bytes of bodies, {size:,} bytes packed")


def main() -> None:
    for name in sys.argv[1:] or STORIES:
        asyncio.run(record(name))


if __name__ == "__main__":
    main()
