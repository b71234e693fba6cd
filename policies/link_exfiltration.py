"""`link_exfiltration`: takes links and images out of what a model says that would carry data to a stranger's host."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from lockgate.exchange import Exchange
from lockgate.policies import redactor
from lockgate.policies.links import LinkDetector
from lockgate.policies.option_types import HostPattern
from lockgate.policies.redactor import Act, Redactor
from lockgate.policies.seen import Clean

SAID_CHARS = 2_000_000
"""So much of the conversation is looked through for what a link carries."""


class Options(redactor.Options):
    """Which links may carry something, and what to do with the others."""

    requests: Act = "off"
    """What happens to such a link in what is sent to the model."""
    arguments: Act = "off"
    """What happens to such a link in the arguments of the model's tool calls."""
    hosts: list[HostPattern] = Field(default_factory=list[HostPattern])
    """Hosts that links may lead to with whatever they carry; `*` stands for any letters, as in *.ourcompany.com."""
    every_image: bool = False
    """Whether images on other hosts are taken out even if they seem to carry nothing: nobody clicks to fetch them."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    clean: Clean


class LinkExfiltration(Redactor):
    """Takes out Markdown, HTML and bare links and images that carry data to hosts that are not allowed.

    A link carries data if a parameter, part of its path or name below its domain repeats a piece of the conversation,
    in whatever spelling, chopped up or encoded, or holds whole sentences. In an image, which loads by itself, what is
    long and random counts as well; in a link it does not, as most ids are. A link that stood in the conversation before
    takes nothing along; digests, ids, signatures of hosts of pictures, names of projects, the marks of advertisers and
    what is asked of well-known services stay.

    Example:
        hosts: ["*.ourcompany.com", github.com]
        every_image: true
    """

    Options = Options
    sentence = "Something in this {where} ({kinds}) would carry data to a host that is not allowed."
    conceals = False

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(Clean(0))

    def look(self, x: Exchange) -> tuple[LinkDetector, bytes]:
        kept: list[list[str]] = []

        def said() -> list[str]:
            if not kept:
                kept.append(_said(x))
            return kept[0]

        return LinkDetector(self.options.hosts, said, every_image=self.options.every_image), b""

    def clean(self) -> Clean:
        return self.shared.clean

    def placeholder(self, kind: str, found: str) -> str:
        return f"#{kind}-removed"


def _said(x: Exchange) -> list[str]:
    """The texts of the conversation, the latest first, as far as they may be looked through."""
    texts, left = list[str](), SAID_CHARS
    for spot in reversed(list(x.request.texts())):
        if spot.role != "definition" and left > 0:
            texts.append(spot.text[:left])
            left -= len(spot.text)
    return texts
