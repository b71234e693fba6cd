"""What a person is shown in the place of texts that nobody may read, and those texts again for what they wrote."""

from __future__ import annotations

from lockgate.events import ToolCall
from lockgate.exchange import Exchange
from lockgate.redaction import concealed, fingerprint

CREDENTIAL_CHARACTERS = 8
"""What is shorter is no key, and stands in many texts by chance."""


class Veil:
    """Each text has a mark of its own, which stands nowhere else in the call, so that it can be put back."""

    def __init__(self, call: ToolCall, x: Exchange) -> None:
        keys = (key for key in x.credentials if len(key) >= CREDENTIAL_CHARACTERS)
        hidden = {**{key: f"[{fingerprint(key)}]" for key in keys}, **x.concealed}
        self._marks: dict[str, str] = {}
        taken = set[str]()
        for text, instead in hidden.items():
            mark = _free(instead or "[concealed]", taken, call.arguments)
            taken.add(mark)
            self._marks[text] = mark
        self._texts = {mark: text for text, mark in self._marks.items()}

    def shown(self, text: str) -> str:
        return _swapped(text, self._marks)

    def real(self, text: str) -> str:
        return _swapped(text, self._texts)


def _free(mark: str, taken: set[str], arguments: str) -> str:
    number, free = 1, mark
    while free in taken or free in arguments:
        number += 1
        free = f"{mark} ({number})"
    return free


def _swapped(text: str, pairs: dict[str, str]) -> str:
    return concealed(text.encode("utf-8", "surrogatepass"), pairs).decode("utf-8", "surrogatepass") if pairs else text
