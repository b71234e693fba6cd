"""What is kept of a reply: what stands for what, how long it was held, bounds, and the text in the log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.frames import kept as module
from lockgate.frames.kept import FRAME_BYTES, Kept
from lockgate.frames.told import LeftOut, ToldFrame, frame_json, left_out_json, read
from lockgate.wire.codec import Frame

ONE, TWO, THREE = (Frame(b"data: %d\n\n" % number) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Seconds since the request, set by the test."""
    now = [100.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])

    def at(seconds: float) -> None:
        now[0] = 100.0 + seconds

    return at


def told(kept: Kept) -> list[tuple[str, int, float, float | None, int | None, bytes]]:
    def values(each: ToldFrame) -> tuple[str, int, float, float | None, int | None, bytes]:
        return each.side, each.number, each.milliseconds, each.held_milliseconds, each.same_as, each.data

    return [values(each) for each in read(kept.content(100.0, {})).items]


def a_kept(limit: int = 10_000) -> Kept:
    return Kept(limit, only_changed=False)


def test_what_passes_at_once(clock: Callable[[float], None]) -> None:
    kept = a_kept()
    for seconds, frame in ((0.5, ONE), (0.75, TWO)):
        clock(seconds)
        kept.came([frame])
        kept.left(frame.raw, frame.raw)
    assert told(kept) == [
        ("original", 0, 500.0, 0.0, 0, ONE.raw),
        ("final", 0, 500.0, 0.0, 0, ONE.raw),
        ("original", 1, 750.0, 0.0, 1, TWO.raw),
        ("final", 1, 750.0, 0.0, 1, TWO.raw),
    ]


def test_held_frames_that_leave_as_one_piece_are_frames_again(clock: Callable[[float], None]) -> None:
    kept = a_kept()
    for seconds, frame in ((1, ONE), (2, TWO), (3, THREE)):
        clock(seconds)
        kept.came([frame])
        kept.left(ONE.raw + TWO.raw + THREE.raw if frame is THREE else b"", frame.raw)
    final = [each for each in told(kept) if each[0] == "final"]
    assert [each[2:5] for each in final] == [(3000.0, 2000.0, 0), (3000.0, 1000.0, 1), (3000.0, 0.0, 2)]


def test_what_was_changed_dropped_or_said_by_lockgate(clock: Callable[[float], None]) -> None:
    kept = a_kept()
    kept.came([ONE, TWO, THREE])
    clock(1)
    kept.left(b"", ONE.raw)
    kept.left(b": ping\n\n")
    clock(2)
    kept.left(b"data: other\n\n", TWO.raw)
    kept.left(THREE.raw, THREE.raw)
    assert told(kept) == [
        ("original", 0, 0.0, None, None, ONE.raw),
        ("original", 1, 0.0, None, None, TWO.raw),
        ("original", 2, 0.0, 2000.0, 2, THREE.raw),
        ("final", 0, 1000.0, 0.0, None, b": ping\n\n"),
        ("final", 1, 2000.0, 2000.0, None, b"data: other\n\n"),
        ("final", 2, 2000.0, 2000.0, 2, THREE.raw),
    ]


def test_a_dropped_frame_does_not_hide_that_the_next_one_is_itself() -> None:
    kept = a_kept()
    kept.came([ONE, TWO])
    kept.left(b"", ONE.raw)
    kept.left(TWO.raw, TWO.raw)
    assert [each[4] for each in told(kept)] == [None, 0, 1]


def test_a_piece_of_several_frames_is_told_frame_by_frame(clock: Callable[[float], None]) -> None:
    kept = a_kept()
    kept.came([ONE])
    kept.left(b"", ONE.raw)
    clock(1)
    kept.came([TWO])
    kept.left(ONE.raw + b"data: new\n\n" + TWO.raw + b"data: open", TWO.raw)
    kept.left(b"data: a\n\ndata: b\n\n")
    assert [each[3:] for each in told(kept) if each[0] == "final"] == [
        *((1000.0, 0, ONE.raw), (1000.0, None, b"data: new\n\n"), (0.0, 1, TWO.raw), (1000.0, None, b"data: open")),
        *((0.0, None, b"data: a\n\n"), (0.0, None, b"data: b\n\n")),
    ]


def test_a_release_without_a_frame_of_its_own_takes_what_waits() -> None:
    kept = a_kept()
    kept.came([ONE, TWO, Frame(b"")])
    kept.left(b"", ONE.raw)
    kept.left(b"", TWO.raw)
    kept.left(ONE.raw + TWO.raw, b"")
    assert [each[3:5] for each in told(kept)] == [(0.0, 0), (0.0, 1), (0.0, 0), (0.0, 1)]


def test_equal_frames_are_told_apart() -> None:
    kept, same = a_kept(), [Frame(bytes(bytearray(b"data: x\n\n"))) for _ in range(3)]
    kept.came(same)
    for frame in same:
        kept.left(frame.raw, frame.raw)
    assert [each[4] for each in told(kept)] == [0, 1, 2, 0, 1, 2]


def test_what_passes_whole(clock: Callable[[float], None]) -> None:
    kept = a_kept()
    for seconds, frame in ((1, ONE), (2, TWO)):
        clock(seconds)
        kept.came([frame])
        kept.passed()
    assert [each[2:5] for each in told(kept)] == [(1000, 0, 0), (1000, 0, 0), (2000, 0, 1), (2000, 0, 1)]


def test_both_sides_are_bounded_and_what_is_beyond_is_counted() -> None:
    kept = a_kept(limit=2 * (FRAME_BYTES + len(ONE.raw)))
    kept.came([ONE, TWO, THREE, Frame(b"x" * 9)])
    for frame in (ONE, TWO, THREE):
        kept.left(frame.raw, frame.raw)
    frames = read(kept.content(100.0, {}))
    assert [(each.side, each.number) for each in frames.items] == [
        *(("original", 0), ("original", 1)),
        *(("final", 0), ("final", 1)),
    ]
    assert frames.left_out == {"original": LeftOut(frames=2, bytes=18), "final": LeftOut(frames=1, bytes=9)}
    assert left_out_json(frames)["final"] == {"frames": 1, "bytes": 9}


def test_of_what_passes_whole_as_much_is_beyond_on_both_sides() -> None:
    kept = a_kept(limit=FRAME_BYTES + len(ONE.raw))
    for frame in (ONE, TWO):
        kept.came([frame])
        kept.passed()
    assert set(read(kept.content(100.0, {})).left_out.values()) == {LeftOut(frames=1, bytes=9)}


def test_what_left_is_hidden_as_what_came_is() -> None:
    """One half was passed on before the other was stopped: neither side tells it."""
    first, second = (Frame(b'data: {"text": "%s"}\n\n' % half) for half in (b"so s3cr3t-", b"w0rd-99 and"))
    kept = a_kept()
    kept.came([first, second])
    kept.left(first.raw, first.raw)
    kept.left(b'data: {"text": "no"}\n\n', second.raw)
    items = read(kept.content(100.0, {"s3cr3t-w0rd-99": "[x]"})).items
    assert [(each.same_as, each.data) for each in items] == [
        (0, b'data: {"text":"so [x]"}\n\n'),
        (None, b'data: {"text":" and"}\n\n'),
        (0, b'data: {"text":"so [x]"}\n\n'),
        (None, b'data: {"text": "no"}\n\n'),
    ]


@pytest.mark.parametrize(
    "data",
    [b"data: \x00\n\n", b"data: \xff\xfe\n\n", "data: \U0001f600é\n\n".encode(), b"data: \xed\xa0\x80\n\n"],
    ids=["NUL", "no UTF-8", "letters", "half a surrogate pair"],
)
def test_any_bytes_come_back(data: bytes) -> None:
    kept = a_kept()
    kept.came([Frame(data)])
    kept.left(data)
    first, second = read(kept.content(100.0, {})).items
    assert (first.data, second.data) == (data, data)
    document = frame_json(first)
    assert document["text"] == data.decode("utf-8", "replace")
    assert (document["base64"] is None) == (document["text"].encode() == data)
