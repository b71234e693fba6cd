"""What can go wrong, by whose fault it is. Each message is a sentence that names the thing and the remedy."""

from __future__ import annotations

import traceback


class Error(Exception):
    """Anything Lockgate raises on purpose."""


class ConfigError(Error):
    """The configuration, the policy set or the machine around it does not fit: a sentence for each thing."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class Missing(Error):
    """What was named is not there."""


class Conflict(Error):
    """Something else stands against it, such as another of the same name."""


class WireError(Error):
    """Bytes do not follow the wire format that their endpoint speaks."""


class StorageError(Error):
    """The database or the files beside it cannot be used."""


class AccessError(Error):
    """Whoever asks may not do this.

    `kind` is a word for why, and `token` the id of the token where one is known: for the audit trail, and nobody else.
    """

    def __init__(self, sentence: str, *, kind: str = "forbidden", token: str = "") -> None:
        super().__init__(sentence)
        self.kind, self.token = kind, token
        self.repeats = False
        """Whether the audit trail has it summed up with one before."""


def told(error: BaseException) -> str:
    """An error without what it may quote: Lockgate's own sentence, or the type and the place of any other."""
    if isinstance(error, Error):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1:]
    return " ".join([type(error).__name__, *(f"in {frame.filename}:{frame.lineno}" for frame in place)])
