"""How checks are run, and how they sum up: the patterns of runs.toml, ready. Nothing here decides."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from lockgate.policies.patterns import compile_pattern

type Subject = Literal["tests", "build", "types", "lint"]


def read_table(file: Path) -> dict[str, Any]:
    """A table of patterns with its words put in; a word may stand in those below it."""
    document = tomllib.loads(file.read_text("utf-8"))
    words: dict[str, str] = {}
    for name, pattern in document.pop("words").items():
        words[name] = _with(pattern, words)
    return {key: _filled(value, words) for key, value in document.items()}


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _with(value, words)
    if isinstance(value, list):
        return [_filled(one, words) for one in cast(list[Any], value)]
    return {key: _filled(one, words) for key, one in cast(dict[str, Any], value).items()}


def _with(pattern: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        pattern = pattern.replace(f"<{name}>", word)
    return pattern


def _ready(table: Mapping[Subject, Sequence[str]], form: str) -> Iterator[tuple[Subject, Any]]:
    for subject, patterns in table.items():
        yield subject, compile_pattern(form.format("|".join(patterns)))


_TABLE = read_table(Path(__file__).with_name("runs.toml"))
COMMANDS = tuple(_ready(_TABLE["commands"], "^(?:{})"))
"""What a command checks, matched from its beginning: its program without a folder, then its arguments."""
FAILED = tuple(_ready(_TABLE["failed"], "(?m)(?:{})"))
PASSED = tuple(_ready(_TABLE["passed"], "(?m)(?:{})"))
