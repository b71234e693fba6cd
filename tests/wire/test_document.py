"""JSON that no two parsers read differently: what is read, what is refused, what is kept on the way out."""

from __future__ import annotations

import json
import math

import pytest

from lockgate.errors import WireError
from lockgate.wire.document import MAX_DEPTH, NotJson, dumps, loads, loads_object, loads_plain

HUGE = 123456789012345678901234567890


def nested(depth: int, *, inner: str = "", padding: int = 0) -> str:
    return " " * padding + "[" * depth + inner + "]" * depth


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        ('{"ä": "👩‍💻"}', {"ä": "👩‍💻"}),
        (b"\xef\xbb\xbf{}", {}),
        (b'"\\ud800"', "\ud800"),
        (b"-0", 0),
        (b"12", 12),
    ],
)
def test_what_either_parser_reads_is_read(data: bytes | str, expected: object):
    assert loads(data) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"[1,]", b"{'a':1}", b"[DONE]", b"{} {}", b'"\x01"', b"\x00", "\ufeff{}"])
def test_what_no_parser_reads_is_not_json(data: bytes | str):
    with pytest.raises(NotJson, match="not JSON"):
        loads(data)


@pytest.mark.parametrize("data", [b'{"a":"\xff"}', b'"\xed\xa0\x80"', '{"a":1}'.encode("utf-16")])
def test_bytes_that_are_not_utf8_are_an_error_and_not_merely_no_json(data: bytes):
    """Clients read them with replacement characters, so that such a frame must not pass as unknown."""
    with pytest.raises(WireError, match="not UTF-8") as raised:
        loads(data)
    assert not isinstance(raised.value, NotJson)


@pytest.mark.parametrize("data", [b"1e400", b"-1e999", b'{"a":[1e400]}', b"1" * 5000, b'{"a":-' + b"9" * 5000 + b"}"])
def test_numbers_that_parsers_read_differently_are_an_error(data: bytes):
    with pytest.raises(WireError, match="number"):
        loads(data)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_beyond_json_are_read_and_written_as_they_came(constant: str):
    document = loads_object(f'{{"a":{constant},"b":"\\ud83d"}}')
    assert not math.isfinite(document["a"])
    assert dumps(document) == f'{{"a":{constant},"b":"\\ud83d"}}'.encode()


@pytest.mark.parametrize("text", ['{"a":%d}', '{"a": %d}', '[ {"a":[%d]} ]'])
def test_huge_integers_are_kept_whole(text: str):
    given = text % HUGE
    document = loads_object(given if given.startswith("{") else f'{{"x":{given}}}')
    assert str(HUGE).encode() in dumps(document)


@pytest.mark.parametrize("depth", [1, 10, MAX_DEPTH])
def test_documents_of_a_real_depth_are_read_and_written(depth: int):
    assert dumps(loads(nested(depth))) == nested(depth).encode()
    in_object = f'{{"a":{nested(depth - 1, inner="1")}}}'
    assert dumps(loads_object(in_object)) == in_object.encode()


@pytest.mark.parametrize("inner", ["", "1", '"\\ud800"', "NaN", str(HUGE)])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 1024, 1025, 5000, 100_000, 1_000_000])
def test_documents_that_nest_too_deep_are_an_error(depth: int, inner: str):
    with pytest.raises(WireError, match="nested deeper than"):
        loads(nested(depth, inner=inner))
    with pytest.raises(WireError, match="nested deeper than"):
        loads_object('{"a":' * depth + (inner or "1") + "}" * depth)


def test_deep_and_odd_at_once_is_read():
    text = nested(MAX_DEPTH - 1, inner='"\\ud800"', padding=1000)
    assert dumps(loads(text)) == text.strip().encode()


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"x":[{"b":1,"c":2,"b":3}]}',
        b'{"a":1,"\\u0061":2}',
        b'{ "a" : {"z":1, "z":2} }',
        b'{"a":NaN,"a":1}',
        b'\xef\xbb\xbf{"a":1,"a":2}',
    ],
)
def test_a_repeated_key_is_an_error_that_names_it(data: bytes):
    with pytest.raises(WireError, match=r"the key '[abz]' is repeated"):
        loads_object(data)


def test_a_repeated_key_is_named_in_short():
    with pytest.raises(WireError) as raised:
        loads_object(json.dumps({"k" * 10_000: 1})[:-1] + f', "{"k" * 10_000}": 2}}')
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"null", b"1"])
def test_a_document_that_is_no_object_is_an_error(data: bytes):
    with pytest.raises(WireError, match="not a JSON object but"):
        loads_object(data)


@pytest.mark.parametrize("text", ['{"a":1,"b":[2.5,"ä"]}', '{ "a" : 1 }', '{"a":1e5}', '{"a":"\\u00e4\\/"}'])
def test_an_object_reads_the_same_as_any_document(text: str):
    assert loads_object(text) == loads_object(text.encode()) == loads(text) == json.loads(text)


def test_written_text_is_utf8_without_white_space():
    assert dumps({"ä": [1, "👩‍💻"]}) == '{"ä":[1,"👩‍💻"]}'.encode()


@pytest.mark.parametrize("document", [{"ä": [1, 2.5, None, "\u2028"]}, [], "x", 0])
def test_what_is_written_plainly_is_read_in_one_go(document: object):
    assert loads_plain(dumps(document)) == document


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', str(HUGE).encode(), b'{"a":1,"a":2}', b"NaN", b"1e2", b'"\\ud800"', b"[", b"\xff", b"null"]
)
def test_all_else_is_left_to_who_reads_with_care(data: bytes):
    assert loads_plain(data) is None
