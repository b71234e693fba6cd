"""`lockgate log show --frames`: the frames of a streamed reply, as they came and as they left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.cli.reading import ask, console, no_such, print_line

if TYPE_CHECKING:  # SQLAlchemy is imported by the commands that need it
    from lockgate.frames.told import Frames
    from lockgate.records import ExchangeRow
    from lockgate.storage.queries import Queries


def show_frames(id: str, *, json_: bool, config: Path | None) -> None:
    """Raises Error where no exchange has this id."""

    async def asked(log: Queries) -> tuple[ExchangeRow, Frames | None]:
        if (row := await log.find(id)) is None:
            raise no_such(id)
        return row, await log.frames(row.id)

    row, frames = ask(config, asked)
    if json_:
        print(json.dumps(_document(frames), indent=2))
        return
    for line in _lines(frames) if frames else [_why_none(row)]:
        print_line(console(), line)


def _why_none(row: ExchangeRow) -> str:
    if not row.streamed:
        return "Its reply was not streamed: `lockgate log show` has all of it."
    return "No frames were kept of it: `log: {frames: all}` in the configuration keeps those of replies to come."


def _lines(frames: Frames) -> Iterator[str]:
    from lockgate.cli.shown import one_line

    for frame in frames.items:
        text = one_line(frame.data.decode("utf-8", "replace").strip())
        if frame.side == "final" and frame.same_as is not None:
            text = f"original {frame.same_as + 1}, as it came"
        held = frame.held_milliseconds or 0
        place = f"{frame.side} {frame.number + 1}{'' if frame.same_as is not None else ' *'}"
        yield f"{frame.milliseconds:>10.1f} ms  {place:<16}{f'held {held:.1f} ms  ' if held >= 0.05 else ''}{text}"
    if any(frame.same_as is None for frame in frames.items):
        yield "* not passed on as it came"
    for side, each in frames.left_out.items():
        if each.frames:
            yield f"{each.frames:,} more {side} frames ({each.bytes:,} bytes) were not kept: `log.frame_bytes`"


def _document(frames: Frames | None) -> dict[str, Any]:
    from lockgate.frames.told import frame_json, left_out_json

    if frames is None:
        return {"kept": False, "items": [], "left_out": {}}
    return {"kept": True, "items": list(map(frame_json, frames.items)), "left_out": left_out_json(frames)}
