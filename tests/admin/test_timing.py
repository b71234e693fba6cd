"""Where the time of an exchange went."""

from __future__ import annotations

from lockgate.admin.console.timing import rules_of
from lockgate.storage.answers import ExchangeDetail
from tests.storage.records import decision, exchange_row


def test_waiting_for_a_person_is_counted_once():
    row = exchange_row(duration_ms=10_000)
    decisions = (
        decision(row.id, rule="ask", action="held", milliseconds=4_000),
        decision(row.id, rule="ask", action="blocked", milliseconds=4_000),
        decision(row.id, rule="quick", action="forwarded", milliseconds=0.5),
    )
    first, second = rules_of(ExchangeDetail(exchange=row, comms=(), relations=(), decisions=decisions))
    assert (first.rule, first.decisions, first.held) == ("ask", 1, 1)
    assert (first.held_milliseconds, first.milliseconds, first.percent) == (4_000, 4_000, 40)
    assert (second.rule, second.percent) == ("quick", 0)


def test_an_exchange_that_goes_on_has_no_shares():
    row = exchange_row(duration_ms=None)
    (one,) = rules_of(ExchangeDetail(exchange=row, comms=(), relations=(), decisions=(decision(row.id),)))
    assert one.percent == 0
