from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from lockgate.errors import ConfigError
from lockgate.events import Usage
from lockgate.usage.prices import BUILT_IN, dollars, load_prices, read_prices

ALL = Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=50_000, cache_write_tokens=400)
FILE = """
prices:
  - models: [claude-opus-4-5*, "own-*"]
    input: 0.000001
    output: 2
    date: 2026-11-21
  - {models: ["*"], provider: google, hosts: ["*.example.com"], input: 1, date: 2026-11-21, source: a contract}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "prices.yaml"
    file.write_text(FILE)
    return file


def test_every_built_in_price_is_whole_dated_and_sourced() -> None:
    prices = read_prices(BUILT_IN)
    assert len(prices) > 5
    for price in prices:
        assert None not in (price.input, price.output, price.cache_read, price.cache_write)
        assert price.date <= datetime.date.today()
        assert price.source.startswith("https://")
        assert price.hosts != ["*"]


@pytest.mark.parametrize(
    ("model", "host", "nano"),
    [
        # 1,000 x $3 + 200 x $15 + 50,000 x $0.30 + 400 x $3.75, each per million
        ("claude-sonnet-4-5-20250929", "api.anthropic.com", 3_000_000 + 3_000_000 + 15_000_000 + 1_500_000),
        ("gpt-5-nano", "api.openai.com", 50_000 + 80_000 + 250_000 + 20_000),
        ("gpt-5.4-mini", "api.openai.com", 750_000 + 900_000 + 3_750_000 + 300_000),
        ("gpt-5-pro", "api.openai.com", None),
        ("claude-sonnet-4-5", "llm.example.com", None),
        ("", "api.anthropic.com", None),
    ],
)
def test_a_cost_is_exact_or_unknown(model: str, host: str, nano: int | None) -> None:
    assert load_prices().cost(ALL, provider="any", host=host, model=model) == nano


def test_a_long_prompt_costs_more_in_all_its_tokens_and_an_hour_in_the_cache_more_than_minutes() -> None:
    def cost(**tokens: int) -> int | None:
        return load_prices().cost(Usage(**tokens), provider="x", host="api.anthropic.com", model="claude-haiku-5-5")

    assert cost(input_tokens=1_000, cache_read_tokens=99_000, output_tokens=10) == 100_000 + 990_000 + 5_000
    assert cost(input_tokens=1_001, cache_read_tokens=99_000, output_tokens=10) == 500_500 + 4_950_000 + 25_000
    assert cost(cache_write_tokens=1_000) == 125_000
    assert cost(cache_write_tokens=1_000, cache_write_1h_tokens=400) == 600 * 125 + 400 * 200


def test_an_hour_in_the_cache_without_a_price_of_its_own_costs_as_minutes() -> None:
    usage = Usage(cache_write_tokens=1_000, cache_write_1h_tokens=400)
    assert load_prices().cost(usage, provider="x", host="api.openai.com", model="gpt-5-nano") == 50_000


def test_ones_own_prices_go_first(own: Path) -> None:
    prices, usage = load_prices(own), Usage(input_tokens=1_500, output_tokens=1)
    assert prices.cost(usage, provider="anthropic", host="api.anthropic.com", model="claude-opus-4-5") == 2002
    assert prices.cost(usage, provider="x", host="y", model="OWN-1") == 2002
    assert prices.cost(Usage(input_tokens=1), provider="google", host="a.example.com", model="m") == 1000
    assert load_prices(own).cost(ALL, provider="x", host="api.openai.com", model="gpt-5-nano") == 400_000


def test_a_price_that_is_missing_for_used_tokens_makes_no_cost(own: Path) -> None:
    prices = load_prices(own)
    assert prices.cost(ALL, provider="x", host="y", model="own-1") is None
    assert prices.cost(Usage(), provider="x", host="y", model="own-1") == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prices: [{models: [m], input: -1, date: 2026-01-01}]", "prices.0.input"),
        ("prices: [{models: [m], input: 1}]", "the option 'prices.0.date' is missing"),
        ("prices: [{models: [m], inputs: 1, date: 2026-01-01}]", "unknown option 'prices.0.inputs' .did you mean"),
        ("price: []", "unknown option 'price'"),
        ("prices: [{models: [m], over: {input: 1}, date: 2026-01-01}]", "the option 'prices.0.over.tokens' is missing"),
        ("[", "cannot be read as YAML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"prices\.yaml: .*{sentence}"):
        load_prices(file)


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "$0.00"), (1, "$0.000000"), (1_500, "$0.000002"), (12_345_678, "$0.0123"), (1_234_567_890_123, "$1,234.57")],
)
def test_dollars_are_readable(nano: int, text: str) -> None:
    assert dollars(nano) == text


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "log.md").read_text("utf-8")
    file = tmp_path / "prices.yaml"
    file.write_text(page.split("```yml\n")[1].split("```")[0])
    usage = Usage(input_tokens=1_000, output_tokens=1_000, cache_read_tokens=1_000, cache_write_tokens=1_000)
    cost = load_prices(file).cost(usage, provider="openai", host="llm.example.com", model="llama-4-scout")
    assert cost == 2_040_000
