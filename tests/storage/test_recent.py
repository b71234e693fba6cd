from __future__ import annotations

from lockgate.storage.recent import Recent


def test_only_the_last_are_remembered() -> None:
    recent = Recent[int, str](2)
    recent[1], recent[2] = "a", "b"
    assert recent.get(1) == "a"
    recent[3] = "c"
    assert (list(recent), 2 in recent, recent.get(3)) == ([1, 3], False, "c")
    recent.clear()
    assert len(recent) == 0
