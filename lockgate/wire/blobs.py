"""Files inside messages: each is taken out, so that it is kept once, as bytes. Nothing here does I/O.

What is taken is any long text in base64, alone or in a `data:` URL, that comes back the same when it is encoded again.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lockgate.events import Path
from lockgate.wire.document import dumps, loads_exact

BLOB_CHARACTERS = 1024
"""What is shorter stays in its message: a row of its own would cost more."""
_HINTS = {
    "anthropic": (b'"base64"',),
    "openai-chat": (b";base64,", b'"input_audio"'),
    "openai-responses": (b";base64,", b'"input_audio"', b'"image_generation_call"'),
}
"""What comes with a file in each format; only messages that hold one are looked through."""
_HEAD = re.compile(r"data:[^,]{0,200};base64,")

type Blobs = dict[bytes, bytes]
"""Contents, each under its SHA-256."""


def may_hold_blobs(format: str, text: bytes) -> bool:
    """Whether to look for files at all, by the JSON text of a message or of many."""
    return len(text) >= BLOB_CHARACTERS and any(hint in text for hint in _HINTS[format])


def take_blobs(message: Any, blobs: Blobs) -> bytes:
    """Put the hash of each file in its place, in `message` itself, and the files into `blobs`.

    Gives the places in JSON, a list of [path, what stood before the base64, hash]; b"" where there is no file.
    """
    places: list[tuple[Path, str, str]] = []
    for path, value in list(_long_texts((), message)):
        found = _HEAD.match(value)
        head = found[0] if found else ""
        if (content := _decoded(value[len(head) :])) is not None:
            digest = hashlib.sha256(content)
            blobs[digest.digest()] = content
            places.append((path, head, digest.hexdigest()))
            _set(message, path, f"sha256:{digest.hexdigest()}")
    return dumps(places) if places else b""


def blob_hashes(places: bytes | None) -> Iterator[bytes]:
    """The hashes of the files that a message holds."""
    for _, _, digest in loads_exact(places) if places else ():
        yield bytes.fromhex(digest)


def put_blobs(message: Any, places: bytes | None, blobs: Mapping[bytes, bytes]) -> None:
    """Undo `take_blobs`, in `message` itself. Raises KeyError for a file that is not there."""
    for path, head, digest in loads_exact(places) if places else ():
        content = blobs[bytes.fromhex(digest)]
        _set(message, path, head + binascii.b2a_base64(content, newline=False).decode())


def _decoded(text: str) -> bytes | None:
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return content if binascii.b2a_base64(content, newline=False).decode() == text else None


def _long_texts(path: Path, node: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(node, str):
        if path and len(node) >= BLOB_CHARACTERS:
            yield path, node
    elif isinstance(node, dict):
        for key, value in cast(dict[str, Any], node).items():
            yield from _long_texts((*path, key), value)
    elif isinstance(node, list):
        for at, value in enumerate(cast(list[Any], node)):
            yield from _long_texts((*path, at), value)


def _set(node: Any, path: Path, value: str) -> None:
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
