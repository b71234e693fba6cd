"""What tokens cost: a table that ships with Lockgate, and the operator's own in front of it.

Costs are whole nano-dollars (1e-9 USD). A million tokens for one dollar is 1,000 of them per token, so that even a
price of a thousandth of a cent per million comes out whole; integers add up exactly in every database, and 64 bits
hold nine billion dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from lockgate.config import Section, read_file
from lockgate.events import Usage
from lockgate.validation import validate

BUILT_IN = Path(__file__).parent / "prices.yaml"
NANO = 10**9
_NANO_PER_TOKEN = Decimal(1000)  # of a price of one dollar per million


_KINDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


class Rates(Section):
    """USD per million tokens. What is left out is not known, and neither is a cost with it."""

    input: Decimal | None = Field(default=None, ge=0)
    output: Decimal | None = Field(default=None, ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    cache_write_1h: Decimal | None = Field(default=None, ge=0)
    """What the cache keeps for an hour; left out, it costs as much as all that is written."""

    @field_validator(*_KINDS, mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return str(value) if isinstance(value, float) else value

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars, half to even; None where a price is missing for tokens that were used."""
        hour = 0 if self.cache_write_1h is None else usage.cache_write_1h_tokens
        written = usage.cache_write_tokens - hour
        tokens = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, written, hour)
        total = Decimal(0)
        for kind, used in zip(_KINDS, tokens, strict=True):
            price = getattr(self, kind)
            if used and price is None:
                return None
            total += used * (price or 0)
        return int((total * _NANO_PER_TOKEN).to_integral_value())


class LongPrompt(Rates):
    """What all tokens of an exchange cost whose prompt, with what the cache read and wrote, has more tokens."""

    tokens: int = Field(gt=0)


class Price(Rates):
    """What models cost."""

    models: list[str] = Field(min_length=1)
    """Globs, in lower case: `gpt-5-mini*`."""
    provider: str = "*"
    """A glob: `anthropic`, `openai`, `google`: the host's `format`."""
    hosts: list[str] = Field(default=["*"])
    """Globs: who sells at this price."""
    over: LongPrompt | None = None
    date: date
    """The day on which this was the price."""
    source: str = ""

    def fits(self, provider: str, host: str, model: str) -> bool:
        return (
            fnmatchcase(provider, self.provider)
            and any(fnmatchcase(host, pattern) for pattern in self.hosts)
            and any(fnmatchcase(model.lower(), pattern) for pattern in self.models)
        )

    def name(self, model: str) -> str:
        """What the model is listed as."""
        return next(pattern for pattern in self.models if fnmatchcase(model.lower(), pattern))

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars, half to even; None where a price is missing for tokens that were used."""
        if self.over and usage.prompt_tokens > self.over.tokens:
            return self.over.cost(usage)
        return super().cost(usage)


class PriceFile(Section):
    """A file of prices. The first that fits counts."""

    prices: list[Price] = Field(default=[])


class Prices:
    """Prices in order: the first that fits counts."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices: Sequence[Price] = tuple(prices)
        self.find = lru_cache(maxsize=1024)(self._find)

    def cost(self, usage: Usage, *, provider: str, host: str, model: str) -> int | None:
        """Nano-dollars; None where no price is known."""
        price = self.find(provider, host, model)
        return price and price.cost(usage)

    def name(self, provider: str, host: str, model: str) -> str:
        """What a model is listed as: one of the globs of the list; "" where no price is known."""
        price = self.find(provider, host, model)
        return price.name(model) if price else ""

    def _find(self, provider: str, host: str, model: str) -> Price | None:
        return next((price for price in self._prices if price.fits(provider, host, model)), None)


def load_prices(file: Path | None = None) -> Prices:
    """The prices of this file, and after them the built-in ones. Raises ConfigError."""
    return Prices([*(read_prices(file) if file else ()), *read_prices(BUILT_IN)])


def read_prices(file: Path) -> list[Price]:
    """Raises ConfigError with a sentence that names the file."""
    return validate(PriceFile, read_file(file), str(file)).prices


def dollars(nano_usd: int) -> str:
    """As people write it: two digits, or as many as a small sum needs to be seen."""
    value = Decimal(nano_usd) / NANO
    if not value or abs(value) >= 1:
        return f"${value:,.2f}"
    return f"${value:.4f}" if abs(value) >= Decimal("0.001") else f"${value:.6f}"
