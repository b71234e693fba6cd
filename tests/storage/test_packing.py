from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.storage.packing import DICTIONARY, PACKED_BYTES, pack, unpack

MESSAGE = b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01X","content":"done"}]}'


@given(st.one_of(st.binary(max_size=300).map(lambda data: b'"' + data), st.just(MESSAGE * 9)))
def test_what_is_packed_comes_back(text: bytes) -> None:
    stored = pack(text)
    assert unpack(stored) == text
    assert len(stored) <= len(text)


def test_what_every_message_has_takes_little_room() -> None:
    assert len(pack(MESSAGE)) < len(MESSAGE) / 2 < len(zlib.compress(MESSAGE, 9))
    assert pack(b'"' + b"a" * (PACKED_BYTES - 2)) == b'"' + b"a" * (PACKED_BYTES - 2)


def test_the_dictionary_never_changes() -> None:
    """A log holds what was packed with it."""
    assert zlib.adler32(DICTIONARY) == 0xE2120B48


def test_what_was_packed_without_a_dictionary_is_read() -> None:
    assert unpack(zlib.compress(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:5]])
def test_what_was_damaged_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(zlib.error):
        unpack(damage(pack(MESSAGE)))
