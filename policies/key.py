"""The key of a model that a rule asks: named by an option, read once, never shown."""

from __future__ import annotations

from pathlib import Path

from lockgate.config import secret_from_environment
from lockgate.errors import ConfigError


def read_key(key_env: str, key_file: Path | None) -> str:
    """The key in the variable or the file; "" where none is named. Raises ConfigError."""
    if key_env:
        return secret_from_environment(key_env)
    if key_file is None:
        return ""
    try:
        key = key_file.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"option 'key_file': {key_file} cannot be read: {error}") from error
    if not key:
        raise ConfigError(f"option 'key_file': {key_file} is empty; write the key into it")
    return key
