"""What requests may say: the shapes that are shared. Whatever else they hold is refused, and not repeated."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from lockgate.admin.problems import Problem
from lockgate.errors import Error
from lockgate.sections import Section
from lockgate.storage.access import NAME_CHARACTERS, checked_name

MOST_LABELS = 50
LARGEST = 10**15


def _named(name: str) -> str:
    try:
        return checked_name(name)
    except Error:
        raise ValueError("a name begins with a letter, digit or full stop, then also spaces and : / @ + _ -") from None


type Name = Annotated[
    str, Field(min_length=1, max_length=NAME_CHARACTERS, pattern=r"^[\w.][\w .:/@+-]*$", examples=["shop"]),
    AfterValidator(_named),
]  # fmt: skip
type Notes = Annotated[str, Field(max_length=20_000)]
type Label = Annotated[str, Field(min_length=1, max_length=100, examples=["ci"])]
type Labels = Annotated[tuple[Label, ...], Field(max_length=MOST_LABELS)]
type Quota = Annotated[int, Field(ge=1, le=LARGEST)]
type Seconds = Annotated[int, Field(ge=60, le=365 * 86_400, examples=[86_400])]


class Changes(Section):
    """What is given is changed, and the rest stays."""

    @model_validator(mode="before")
    @classmethod
    def _has_some(cls, given: Any) -> Any:
        if given == {}:
            raise ValueError("nothing to change was given")
        return given

    def given(self) -> dict[str, Any]:
        """By name, what was given."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def secret(text: str) -> str:
    """Raises Problem, without the text, where it is not one line."""
    if not text or not text.isprintable() or text != text.strip():
        raise Problem(422, "a provider key is one line without spaces around it; this one is not")
    return text
