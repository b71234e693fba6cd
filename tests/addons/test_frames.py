"""Frames are kept where `log.frames` says so: as they came and as they left, held or not, and without secrets."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from lockgate.frames.told import Frames, read
from lockgate.records import FramesRow
from lockgate.wire.document import dumps
from tests.addons.gated import Gated, gated
from tests.addons.messages import ASK, PATH, WHOLE, call, end, stream, text
from tests.addons.test_gate_secrets import GUARD, KEY
from tests.upstream.proxied import EVENT_STREAM, Tls, tls

__all__ = ["tls"]

ALL = {"frames": "all"}
UNREADABLE = stream(text(0, "hello"), text(0, "again"))
"""A block begins where another one is due."""
NO_FORCE = {
    "name": "no-force", "use": "tools",
    "with": {"deny": [{"arguments": {"command": "push --force"}, "sentence": "Do not."}]},
}  # fmt: skip


def kept(at: Gated) -> Frames:
    (row,) = at.log.of(FramesRow)
    return read(row.content)


def side(frames: Frames, name: str) -> list[bytes]:
    return [each.data for each in frames.items if each.side == name]


async def passed(at: Gated, body: bytes, ask: bytes = ASK, **reply: Any) -> bytes:
    """What the client got of a reply of this body."""
    got = await (await at.client()).send(ask, path=PATH)
    served = await at.provider.next()
    await served.reply(body, **reply)
    await got.over()
    await at.log.ended()
    return got.body


@pytest.mark.parametrize("frames", ["none", "changed", "all"])
@pytest.mark.parametrize("command", ["git push --force", "git status"])
async def test_which_are_kept(tls: Tls, frames: str, command: str) -> None:
    async with gated(tls, NO_FORCE, log={"frames": frames}) as at:
        body = stream(call(0, command), stop="tool_use")
        got = await passed(at, body)
        assert len(at.log.of(FramesRow)) == (frames == "all" or (frames == "changed" and got != body))


@pytest.mark.parametrize("rules", [[], [NO_FORCE]], ids=["verbatim", "judged"])
async def test_joined_they_are_what_came_and_what_left(tls: Tls, rules: list[Any]) -> None:
    async with gated(tls, *rules, log=ALL) as at:
        body = stream(text(0, "hello"), call(1, "git status"), stop="tool_use")
        assert await passed(at, body) == body
        frames = kept(at)
    assert b"".join(side(frames, "original")) == b"".join(side(frames, "final")) == body
    assert all(each.same_as == each.number for each in frames.items)
    assert all(each.milliseconds > 0 for each in frames.items)


async def test_a_held_call_that_is_stopped(tls: Tls) -> None:
    async with gated(tls, NO_FORCE, log=ALL) as at:
        body = stream(text(0, "hello"), call(1, "git push --force"), stop="tool_use")
        got = await passed(at, body)
        frames = kept(at)
    assert b"".join(side(frames, "original")) == body
    assert b"".join(side(frames, "final")) == got != body
    same = [each.same_as is not None for each in frames.items if each.side == "original"]
    assert same == [*[True] * 4, *[False] * 4, *[True] * 2]


async def test_held_frames_say_how_long(tls: Tls) -> None:
    """The rest comes when the client has what was not held."""
    async with gated(tls, NO_FORCE, log=ALL) as at:
        got = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        first, *rest = call(1, "git status")
        begin = stream(text(0, "hello")).split(b"event: message_delta")[0]
        await served.start()
        await served.write(begin + first)
        await got.until(b"hello")
        await served.write(b"".join((*rest, *end("tool_use"))))
        await served.end()
        await got.over()
        await at.log.ended()
        frames = kept(at)
    held = next(each for each in frames.items if each.side == "original" and each.data == first)
    left = next(each for each in frames.items if each.side == "final" and each.same_as == held.number)
    assert held.held_milliseconds == pytest.approx(left.milliseconds - held.milliseconds, abs=0.01)
    assert all(0 <= (each.held_milliseconds or 0) <= left.held_milliseconds for each in frames.items)


async def test_a_compressed_reply_is_kept_as_what_it_says(tls: Tls) -> None:
    body = stream(text(0, "hello"))
    async with gated(tls, log=ALL) as at:
        await passed(at, gzip.compress(body, mtime=0), headers={**EVENT_STREAM, "content-encoding": "gzip"})
        frames = kept(at)
    assert b"".join(side(frames, "original")) == b"".join(side(frames, "final")) == body


async def test_a_reply_that_cannot_be_read_is_kept_as_it_came(tls: Tls) -> None:
    body = UNREADABLE
    async with gated(tls, log=ALL) as at:
        assert await passed(at, body) == body
        frames = kept(at)
    assert b"".join(side(frames, "original")) == b"".join(side(frames, "final")) == body


async def test_one_that_is_judged_and_cannot_be_read_ends_in_a_refusal(tls: Tls) -> None:
    async with gated(tls, NO_FORCE, log=ALL) as at:
        await passed(at, UNREADABLE)
        frames = kept(at)
    assert b"".join(side(frames, "original")) == UNREADABLE
    assert b"Lockgate cannot read this reply" in side(frames, "final")[-1]
    assert frames.items[-1].same_as is None


async def test_a_reply_that_is_not_streamed_has_none(tls: Tls) -> None:
    message = {"type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
    async with gated(tls, NO_FORCE, log=ALL) as at:
        await passed(at, dumps(message), WHOLE, headers={"content-type": "application/json"})
        assert at.log.of(FramesRow) == []


async def test_there_is_room_for_so_much(tls: Tls) -> None:
    async with gated(tls, log={"frames": "all", "frame_bytes": 600}) as at:
        body = stream(*(text(number, "x" * 50) for number in range(9)))
        await passed(at, body)
        frames = kept(at)
    assert 0 < len(b"".join(side(frames, "original"))) < 600
    left_out = frames.left_out["original"]
    assert left_out.bytes + len(b"".join(side(frames, "original"))) == len(body)
    assert frames.left_out["final"] == left_out


@pytest.mark.parametrize("act", ["redact", "alert"])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_no_secret_is_kept_however_it_is_cut(tls: Tls, act: str, size: int) -> None:
    rule = {**GUARD, "with": {"requests": act, "text": act, "arguments": act}}
    said = f"The key is {KEY} and that is all."
    begin, _, stop = text(0, "")
    deltas = [text(0, said[at : at + size])[1] for at in range(0, len(said), size)]
    command = call(1, f"curl -H 'x: {KEY}'")
    async with gated(tls, rule, log=ALL) as at:
        await passed(at, stream([begin, *deltas, stop], command, stop="tool_use"))
        frames = kept(at)
    for name in ("original", "final"):
        said = "".join(part for data in side(frames, name) for part in texts_of(data))
        assert "The key is [secret:github-token:" in said
        assert KEY not in said
        assert KEY[8:16] not in said
        assert said.count("and that is all.") == 1


def texts_of(data: bytes) -> list[str]:
    deltas = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]
    pieces = [delta.get("delta", delta.get("content_block", {})) for delta in deltas]
    return [piece.get("text", piece.get("partial_json", "")) for piece in pieces]
