"""What is said about each policy."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field
from ruamel.yaml import YAML

from lockgate.config import RuleConfig, Section
from lockgate.policies.base import Policy
from lockgate.policies.describe import Description, Option, describe
from lockgate.policies.registry import BUILT_IN, load_policy
from lockgate.validation import validate


class Part(Section):
    """Nested."""

    name: str = Field(min_length=1)
    """What it is called."""


class Words(Policy):
    """Does nothing,
    in two lines.

    More about it.

    Example:
        level: low
        parts:
          - name: x
    """

    class Options(Section):
        level: Literal["low", "high"]
        """How much."""
        parts: list[Part] = Field(default_factory=list[Part])
        """Pieces of
        it."""
        part: Part = Part(name="p")
        """One piece."""
        share: float = Field(default=0.5, ge=0, lt=1)
        """A share."""
        note: str | None = None
        """A note."""


def test_a_description():
    assert describe("words", Words) == Description(
        name="words",
        summary="Does nothing, in two lines.",
        details="More about it.",
        options=(
            Option(name="level", type="low | high", default="", description="How much."),
            Option(name="parts", type="list of mapping", default="[]", description="Pieces of it."),
            Option(name="parts[].name", type="text", default="", description="What it is called."),
            Option(name="part", type="mapping", default='{"name": "p"}', description="One piece."),
            Option(name="part.name", type="text", default="", description="What it is called."),
            Option(name="share", type="number from 0 below 1", default="0.5", description="A share."),
            Option(name="note", type="text", default="none", description="A note."),
        ),
        example="level: low\nparts:\n  - name: x",
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_policies_are_described_and_their_examples_are_right(name: str):
    found = describe(name, load_policy(name))
    assert found.summary.endswith(".")
    assert [option.name for option in found.options if not option.description] == []
    options: Any = YAML(typ="safe", pure=True).load(found.example)  # pyright: ignore[reportUnknownMemberType]
    config = RuleConfig.model_validate({"name": "r", "use": name, "with": options})
    assert validate(load_policy(name).Options, config.options, name)
