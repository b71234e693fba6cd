"""What the model of a recording says: always the same words, of the sizes that real models' have. Nothing does I/O."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any

from tests.upstream.script import Call, Part, Reply, ShellCall, Text, Thinking, Usage

_SAYING = (
    "the price list total discount rounding test function module cart currency table returns raises expects value "
    "before after because so that we should check whether it also handles an empty order and what happens when"
)
_WORDS = _SAYING.split()


class Lines:
    """Makes replies whose usage grows as the conversation does."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._context = 14_000

    def reply(self, *parts: Part | str, think: int = 0, usage: Usage | None = None) -> Reply:
        """A reply, with a signed thought of about so many words before it; a bare string is Text."""
        said: list[Part] = [Text(part) if isinstance(part, str) else part for part in parts]
        if think:
            said.insert(0, self.thought(think))
        return Reply(said, usage=usage or self._usage())

    def thought(self, words: int) -> Thinking:
        """Its signature is of the length that the service's are: it holds the thought itself, encrypted."""
        secret = base64.b64encode(self._chance.randbytes(180 + 6 * words)).decode()
        return Thinking(self.words(words), secret)

    def words(self, count: int) -> str:
        chosen = self._chance.choices(_WORDS, k=count)
        text = " ".join(word if at % 14 else f"{word}.\n" for at, word in enumerate(chosen, 1))
        return f"{text}."

    def secret(self, size: int) -> str:
        return base64.b64encode(self._chance.randbytes(size)).decode()

    def _usage(self) -> Usage:
        before, self._context = self._context, self._context + self._chance.randrange(300, 900)
        return Usage(input=self._context, cached=before, output=self._chance.randrange(60, 400))


def shell(command: str) -> ShellCall:
    return ShellCall(command)


def call(name: str, **arguments: Any) -> Call:
    return Call(name, arguments)


PROJECT_FILES: Mapping[str, str] = {
    "shop/__init__.py": '"""A small shop."""\n',
    "shop/prices.py": '''"""Prices in cents."""

PRICES = {"tea": 450, "coffee": 620, "cup": 1290, "spoon": 280}


def price(name: str) -> int:
    """The price of one; KeyError for what is not sold."""
    return PRICES[name]


def discount(cents: int, percent: int) -> int:
    """What is left after a discount."""
    return cents - cents * percent // 100
''',
    "shop/cart.py": '''"""What a customer is about to buy."""

from shop.prices import discount, price


class Cart:
    def __init__(self) -> None:
        self.lines: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        self.lines[name] = count

    def total(self, percent: int = 0) -> int:
        return sum(discount(price(name), percent) * count for name, count in self.lines.items())
''',
    "tests/__init__.py": "",
    "tests/test_cart.py": """import unittest

from shop.cart import Cart


class CartTest(unittest.TestCase):
    def test_adding_twice_counts_twice(self) -> None:
        cart = Cart()
        cart.add("tea")
        cart.add("tea")
        self.assertEqual(cart.total(), 900)

    def test_an_empty_cart_costs_nothing(self) -> None:
        self.assertEqual(Cart().total(), 0)


if __name__ == "__main__":
    unittest.main()
""",
    "README.md": "# Shop\n\nPrices, a cart, and tests: `python3 -m unittest`.\n\nÜber 1.000 Bestellungen · 注文 · 🍵\n",
}
