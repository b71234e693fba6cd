"""Records of the log as people read them: lines and tables. Nothing here reads the log.

What clients, models and providers wrote is shown with its control characters spelled out, so that a log entry cannot
play tricks on the terminal of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rich.table import Table
from rich.text import Text

from lockgate.events import Usage
from lockgate.records import Decision, ExchangeRow
from lockgate.storage.answers import Cost, Marks, Session
from lockgate.storage.readable import labels_of, plain, time_of
from lockgate.usage.prices import dollars

SHORT_ID = 8
"""The end of an id that lists show; it is enough to ask for the exchange."""
WIDE = ("time", "id", "provider", "model", "agent", "history", "tokens", "cost", "outcome", "rules", "duration")
NARROW = ("time", "id", "model", "outcome", "rules", "duration")
WIDE_COLUMNS = 136
"""Below this, the wide list would cut its ids."""
KEPT_WHOLE = {"time": 19, "id": SHORT_ID, "outcome": 7}
COLOURS = {"+": "green", "-": "red", "@": "cyan"}
OUTCOMES = {"blocked": "red", "refused": "red", "error": "red", "changed": "yellow", "cut": "yellow", "gone": "yellow"}
HISTORIES = {"altered": "red", "foreign": "yellow", "unknown": "yellow"}


def one_line(text: str) -> str:
    """The text as `plain` gives it, with its line breaks as spaces."""
    return plain(text).replace("\n", " ").replace("\t", " ")


def exchange_table(rows: Sequence[ExchangeRow], columns: int, marks: Mapping[str, Marks] | None = None) -> Table:
    """A line for each exchange, with its labels where there are any; few columns show what is looked for first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = (WIDE if columns >= WIDE_COLUMNS else NARROW) + (("labels",) if marks else ())
    for name in names:
        justify = "right" if name in ("tokens", "cost", "duration") else "left"
        table.add_column(name, no_wrap=name != "labels", justify=justify, min_width=KEPT_WHOLE.get(name))
    for row in rows:
        cells = {
            "time": time_of(row.started_at),
            "id": row.id[-SHORT_ID:],
            "provider": row.provider,
            "model": row.model or (row.endpoint if row.kind == "other" else ""),
            "agent": row.agent,
            "history": row.trigger or row.purpose or row.attested,
            "tokens": _tokens(row),
            "cost": "" if row.cost_nano_usd is None else dollars(row.cost_nano_usd),
            "outcome": row.outcome,
            "rules": ", ".join(row.rules),
            "duration": duration(row.duration_ms),
            "labels": labels_of((marks or {}).get(row.id)),
        }
        styles = {"outcome": OUTCOMES.get(row.outcome, ""), "history": HISTORIES.get(row.attested, "")}
        table.add_row(*(Text(plain(cells[name]), style=styles.get(name, "")) for name in names))
    return table


def decision_table(decisions: Sequence[Decision]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rule", "mode", "looked at", "did", "score", "ms", "reason"):
        table.add_column(name, overflow="fold")
    for one in decisions:
        score = "" if one.score is None else f"{one.score:.2f}"
        cells = (one.rule, one.mode, one.subject, one.action, score, f"{one.milliseconds:.1f}", one.reason)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def facts(row: ExchangeRow, marks: Marks | None = None) -> Iterator[tuple[str, str]]:
    """What is known of an exchange, by name; what is not is left out."""
    usage = row.usage
    cached = (
        f" ({usage.cache_read_tokens:,} read from and {usage.cache_write_tokens:,} written to the cache)"
        if usage
        else ""
    )
    counted = ", counted by Lockgate" if row.counted_by == "tiktoken" else ""
    named = {
        "id": row.id,
        "time": time_of(row.started_at),
        "model": f"{row.model} of {row.provider}" if row.model else row.provider,
        "endpoint": f"{row.endpoint} at {row.host}",
        "agent": row.agent,
        "session": row.session_id,
        "history": row.attested,
        "purpose": row.purpose,
        "sent for": row.trigger,
        "outcome": row.outcome + (f" by {', '.join(row.rules)}" if row.rules else ""),
        "error": row.error,
        "status": "" if row.status is None else str(row.status),
        "stop reason": row.stop_reason,
        "tokens": f"{_tokens(row)}{cached}{counted}" if usage else "",
        "cost": _cost(row),
        "first byte": duration(row.first_byte_ms),
        "duration": duration(row.duration_ms),
        "policy set": row.policy_set,
        "labels": labels_of(marks and replace(marks, notes=())),
    }
    yield from ((name, plain(value)) for name, value in named.items() if value)
    for note in marks.notes if marks else ():
        about = "" if note.about == "exchange" else " about the session"
        yield "note", f"{plain(note.text)} ({time_of(note.created_at)}{about})"


def coloured(lines: Sequence[str]) -> Text:
    return Text("\n").join(Text(plain(line), style=COLOURS.get(line[:1], "")) for line in lines)


def _cost(row: ExchangeRow) -> str:
    if row.cost_nano_usd is not None:
        return dollars(row.cost_nano_usd)
    return f"unknown: no price is known for {row.model} at {row.host}" if row.usage else ""


def cost_of(one: Cost | Session) -> str:
    """A sum; nothing where no price is known, as in a list."""
    if not one.nano_usd and (one.unpriced or one.usage == Usage()):
        return ""
    return ("at least " if one.unpriced else "") + dollars(one.nano_usd)


def _tokens(row: ExchangeRow) -> str:
    return "" if row.usage is None else tokens(row.usage)


def tokens(usage: Usage) -> str:
    return f"{usage.prompt_tokens:,} in, {usage.output_tokens:,} out"


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
