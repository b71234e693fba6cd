"""What a call writes, by its arguments and its patch."""

from __future__ import annotations

from lockgate.events import ToolCall
from lockgate.policies.writes import Write, writes_of


def patch(text: str) -> list[Write]:
    return list(writes_of(ToolCall(block=0, id="c", name="apply_patch", arguments=text, custom=True)))


def test_a_patch_that_only_deletes_writes_nothing():
    assert patch("*** Begin Patch\n*** Delete File: a.py\n*** End Patch") == []


def test_each_file_of_a_patch_has_its_own_lines():
    text = "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n@@\n-y\n+z\n*** End Patch"
    assert [(write.path, write.text, write.old) for write in patch(text)] == [("a", "x", None), ("b", "z", "")]
