"""`pii`: keeps personal data out of what is sent to a model, of what it says, and of the calls that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from lockgate.config import Section
from lockgate.exchange import Exchange
from lockgate.policies import redactor
from lockgate.policies.pii_scan import PiiDetector
from lockgate.policies.redactor import Redactor
from lockgate.policies.seen import Clean

type Kind = Literal["email", "phone", "card", "iban", "national-id"]
ALL: list[Kind] = ["email", "phone", "card", "iban", "national-id"]


class PiiOptions(Section):
    """Which personal data to look for."""

    kinds: list[Kind] = Field(default=ALL, min_length=1)
    """E-mail addresses, phone numbers, payment cards, bank accounts, national numbers of persons. Cards, accounts and
    national numbers are checked by their check digits."""


class Options(redactor.Options, PiiOptions):
    """What to look for, and what to do where it is found."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    detector: PiiDetector
    clean: Clean


class Pii(Redactor):
    """Finds personal data in requests, in the model's text and in its tool calls, and keeps it from passing.

    It goes by form and check digits, so names and street addresses are not found. Addresses of example.com, of roles
    such as noreply and of code hosts stay.

    Example:
        kinds: [card, iban, national-id]
        text: alert
    """

    Options = Options
    sentence = "There is personal data ({kinds}) in this {where}, which may not pass."

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(PiiDetector(options.kinds), Clean(options.remember))

    def look(self, x: Exchange) -> tuple[PiiDetector, bytes]:
        return self.shared.detector, b""

    def clean(self) -> Clean:
        return self.shared.clean

    def placeholder(self, kind: str, found: str) -> str:
        return f"[{kind}]"
