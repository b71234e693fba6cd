"""`lockgate bench`: what Lockgate costs, measured beside plain mitmdump in the same run."""

from __future__ import annotations

import json
import platform
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from lockgate.errors import ConfigError

if TYPE_CHECKING:
    from lockgate.bench.result import Result

FILE_COLUMNS = 130
"""The width of the table where it goes to a file."""

type Name = Literal[
    "small", "events", "first-byte", "judge", "held", "start", "pack", "access", "guarded", "watched", "pages",
    "log-size", "log-rate", "log-open", "log-list", "log-search", "log-cpu",
]  # fmt: skip


def bench(
    *,
    only: Annotated[list[Name] | None, Parameter(negative=())] = None,
    rounds: int | None = None,
    quick: Annotated[bool, Parameter(negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Measure what Lockgate costs beside plain mitmdump: CPU, waiting, memory, start-up; and what its log costs.

    Everything runs on this machine and is ended afterwards: a provider, the clients, both proxies, databases. It takes
    about an hour, most of it to fill databases; other programs that run meanwhile make the figures worse.

    Parameters
    ----------
    only
        One benchmark; may be given several times.
    rounds
        How often each is repeated; by default as often as its figure needs.
    quick
        Two short rounds of each: whether all of it works, not what it costs.
    json_
        Print JSON.
    """
    from lockgate.bench.catalog import MEASURES

    if rounds is not None and not 1 <= rounds <= 100:
        raise ConfigError("--rounds takes a number from 1 to 100")
    chosen = {name: MEASURES[name].rounds for name in only or MEASURES}
    counts = {name: rounds or (2 if quick else usual) for name, usual in chosen.items()}
    signal.signal(signal.SIGTERM, _end)
    results = _measured(counts, quick=quick)
    if json_:
        print(json.dumps({"machine": _machine(), "results": [result.document() for result in results]}, indent=2))
    else:
        _show(results)


def _end(number: int, frame: object) -> None:
    """So that what was started is ended too."""
    sys.exit(128 + number)


def _measured(counts: dict[str, int], *, quick: bool) -> Sequence[Result]:
    from lockgate.bench.catalog import MEASURES
    from lockgate.bench.measures import QUICK, Size
    from lockgate.bench.stage import staged

    results: list[Result] = []
    with staged() as stage, _progress() as begin:
        for name, rounds in counts.items():
            measure = MEASURES[name]
            step = begin(measure.what, rounds * measure.steps_per_round)
            results += measure.run(stage, QUICK if quick else Size(), rounds, step)
    return results


@contextmanager
def _progress() -> Generator[Callable[[str, int], Callable[[], None]]]:
    """A bar for each benchmark on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:

        def begin(what: str, steps: int) -> Callable[[], None]:
            task = progress.add_task(what, total=steps)
            return lambda: progress.advance(task)

        yield begin


def _show(results: Sequence[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Lockgate beside plain mitmdump, in the same run", caption=_caption())
    for heading in ("", "plain", "Lockgate", "compared", "least", "most", "bound", ""):
        table.add_column(heading, justify="left" if heading == "" else "right", no_wrap=True)
    for result in results:
        found = result.document()
        sides = [_number(found[side]["median"], result.unit) for side in ("plain", "lockgate")]
        value, low, high, bound = (
            _number(number, result.value_unit) for number in (result.value, result.low, result.high, result.bound)
        )
        verdict = "[green]holds[/]" if result.holds else "[red]too much[/]"
        table.add_row(result.what, *sides, value, low, high, bound, verdict)
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    console.print(table)
    for result in results:
        if warning := result.notes.get("warning"):
            console.print(f"{result.name}: {warning}")


def _number(number: float | None, unit: str) -> str:
    if number is None:
        return ""
    return f"{number:.2f}{unit}" if unit == "x" else f"{number:,.{0 if abs(number) >= 100 else 2}f} {unit}"


def _caption() -> str:
    return ", ".join(f"{name} {value}" for name, value in _machine().items())


def _machine() -> dict[str, Any]:
    from lockgate.bench.usage import cores

    proxy, others = cores()
    return {
        "lockgate": version("lockgate"), "mitmproxy": version("mitmproxy"), "python": platform.python_version(),
        "proxy core": str(sorted(proxy)), "other cores": str(sorted(others)),
    }  # fmt: skip


__all__ = ["bench"]
