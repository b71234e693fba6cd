"""Tokens, counted by tiktoken with the two rank files in `ranks/`. Nothing is downloaded, whatever happens.

A count is exact for OpenAI's models and near for others, and leaves out what a format adds between messages.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.errors import Error

if TYPE_CHECKING:
    from tiktoken import Encoding

RANKS = Path(__file__).parent / "ranks"
"""The files by the names that tiktoken looks for: the SHA-1 of the address that each is published at."""
FILES = {
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
OLDER_MODELS = ("gpt-3.5*", "gpt-4", "gpt-4-*", "gpt-35*", "text-embedding-*")
"""Those that read cl100k_base; all later ones read o200k_base."""
COUNTED_CHARACTERS = 4_000_000
"""What is longer is counted this far, and the rest in proportion: 64 MB would take ten seconds."""
PIECE_CHARACTERS = 100_000
_CACHE = "TIKTOKEN_CACHE_DIR"
_lock = threading.Lock()


def count_tokens(texts: Iterable[str], model: str) -> int:
    """Takes about 0.2 s per megabyte, mostly without the interpreter's lock. Raises Error where the ranks are gone."""
    encoding = encoding_for(model)
    total = counted = tokens = 0
    for text in texts:
        total += len(text)
        taken = text[: max(0, COUNTED_CHARACTERS - counted)]
        counted += len(taken)
        for start in range(0, len(taken), PIECE_CHARACTERS):
            tokens += len(encoding.encode_ordinary(taken[start : start + PIECE_CHARACTERS]))
    return tokens if counted == total else round(tokens * total / counted)


def encoding_for(model: str) -> Encoding:
    older = any(fnmatchcase(model.lower(), pattern) for pattern in OLDER_MODELS)
    return _encoding("cl100k_base" if older else "o200k_base")


@cache
def _encoding(name: str) -> Encoding:
    import tiktoken  # late: 0.1 s, and most providers count for themselves

    if not (RANKS / FILES[name]).is_file():  # tiktoken would ask the network for it
        raise Error(f"tokens cannot be counted: {RANKS / FILES[name]} is missing; install Lockgate anew")
    with _lock:
        before = os.environ.get(_CACHE)
        os.environ[_CACHE] = str(RANKS)
        try:
            return tiktoken.get_encoding(name)
        finally:  # what Lockgate starts shall not inherit it
            os.environ.pop(_CACHE)
            if before is not None:
                os.environ[_CACHE] = before
