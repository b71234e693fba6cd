"""`lockgate log search` and `lockgate log cost`: what was said, and what it took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from lockgate.cli.reading import ConfigFile, Json, ask, console, print_line
from lockgate.cli.which import Which
from lockgate.storage.shapes import hit_json

if TYPE_CHECKING:
    from rich.text import Text

    from lockgate.storage.answers import Cost, Hit

type By = Literal["session", "model", "project", "agent", "provider", "day"]


def search(
    text: Annotated[str, Parameter(help='Words; "quoted ones" stand together, and begin* is a beginning.')],
    /,
    *,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=1000))] = 20,
    which: Which = Which(),  # noqa: B008  (frozen)
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Find what was said: by users, tools and models, the best fit first. All words have to be in one text."""
    hits = ask(config, lambda log: log.search(text, limit=limit, where=which.filter()))
    if json_:
        print(json.dumps([hit_json(hit) for hit in hits], indent=2))
        return
    screen = console()
    for hit in hits:
        screen.print(_hit_text(hit), soft_wrap=True)
    if not hits:
        print("Nothing fits.")


def cost(
    *,
    by: Annotated[By, Parameter(help="What one line is about.")] = "model",
    which: Which = Which(),  # noqa: B008  (frozen)
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Add up tokens and cost, at list prices or your own (`prices:` in the configuration)."""
    costs = ask(config, lambda log: log.costs(by, where=which.filter()))
    if json_:
        print(json.dumps([asdict(one) for one in costs], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (by, "exchanges", "input", "cache read", "cache write", "output", "cost", ""):
        table.add_column(name, no_wrap=True, justify="left" if name in (by, "") else "right")
    for one in costs:
        table.add_row(*_cells(one))
    screen = console()
    screen.print(table)
    for line in _together(costs):
        print_line(screen, line)


def _together(costs: Sequence[Cost]) -> Iterator[str]:
    from lockgate.usage.prices import dollars

    sum_, unpriced = sum(one.nano_usd for one in costs), sum(one.unpriced for one in costs)
    if len(costs) > 1 and (sum_ or not unpriced):
        yield f"together {dollars(sum_)}{' and what has no price' if unpriced else ''}"
    if unpriced:
        yield f"No price is known for {unpriced:,} of the exchanges: `prices` in the configuration takes your own."


def _cells(one: Cost) -> tuple[str, ...]:
    from lockgate.cli.shown import cost_of, plain

    usage = one.usage
    tokens = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    remarks = [f"{one.unpriced:,} without a price"] if one.unpriced else []
    remarks += [f"{one.estimated:,} counted by Lockgate"] if one.estimated else []
    numbers = (f"{count:,}" for count in (one.exchanges, *tokens))
    return (plain(one.key) or "-", *numbers, cost_of(one), ", ".join(remarks))


def _hit_text(hit: Hit) -> Text:
    """One line for the exchange, and one for the place."""
    from rich.text import Text

    from lockgate.cli.shown import SHORT_ID, one_line, time_of

    row = hit.exchange
    about = "  ".join((time_of(row.started_at), row.id[-SHORT_ID:], row.model, row.agent, hit.role))
    place = hit.excerpt
    parts = (one_line(place.before), (one_line(place.hit), "bold yellow"), one_line(place.after))
    return Text.assemble((one_line(about), "dim"), "\n    ", *parts)
