"""What an exchange took, worked out as its row is written: tokens where the provider did not count them, and cost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lockgate.errors import Error, WireError
from lockgate.events import Usage
from lockgate.records import Comm, ExchangeRow, Record
from lockgate.storage.said import request_texts, texts_of
from lockgate.usage.prices import Prices, load_prices
from lockgate.usage.tokens import count_tokens

OPEN_BYTES = 32 * 2**20
"""Requests of exchanges under way that are kept for counting; the oldest give way, and are then not counted."""
UNCOUNTED = ("open", "refused", "error")
"""An exchange that ended so took no tokens that anybody would charge."""


class Meter:
    """Belongs to one writer, and works on its thread."""

    def __init__(self, prices: Path | None = None) -> None:
        self._file = prices
        self._prices: Prices | None = None
        self._open: OrderedDict[str, Comm] = OrderedDict()
        self._open_bytes = 0
        self.uncounted: set[str] = set()
        """Of what was completed last, the exchanges that are not counted because their request is not here any more."""

    @property
    def prices(self) -> Prices:
        if self._prices is None:
            self._prices = load_prices(self._file)
        return self._prices

    def completed(self, records: Sequence[Record]) -> list[Record]:
        """The records, with usage, `counted_by` and cost in the exchanges among them."""
        self.uncounted = set()
        for record in records:
            if isinstance(record, Comm) and record.type == "REQUEST" and record.content and not record.trigger:
                self._keep(record)
        replies = {one.exchange_id: one for one in reversed(records) if isinstance(one, Comm) and one.type != "REQUEST"}
        return [self._complete(one, replies.get(one.id)) if type(one) is ExchangeRow else one for one in records]

    def forget(self, records: Sequence[Record]) -> None:
        """These are written: the requests of exchanges that ended are not needed any more."""
        for record in records:
            if isinstance(record, ExchangeRow) and record.outcome != "open":
                self._drop(record.id)

    def _keep(self, request: Comm) -> None:
        if request.exchange_id in self._open:
            return  # the client's own comes first
        self._open[request.exchange_id] = request
        self._open_bytes += len(request.content or b"")
        while self._open_bytes > OPEN_BYTES:
            self._drop(next(iter(self._open)))

    def _drop(self, exchange_id: str) -> None:
        if dropped := self._open.pop(exchange_id, None):
            self._open_bytes -= len(dropped.content or b"")

    def _complete(self, row: ExchangeRow, reply: Comm | None) -> ExchangeRow:
        if row.usage is None and row.kind == "model" and not row.trigger and row.outcome not in UNCOUNTED:
            row = self._counted(row, reply)
        elif row.usage is not None and row.counted_by == "none":
            row = replace(row, counted_by="provider")
        if row.usage is None:
            return row
        cost = self.prices.cost(row.usage, provider=row.provider, host=row.host, model=row.model)
        return replace(row, cost_nano_usd=cost)

    def _counted(self, row: ExchangeRow, reply: Comm | None) -> ExchangeRow:
        request = self._open.get(row.id)
        if request is None:
            self.uncounted.add(row.id)
            return row
        try:
            taken = count_tokens(request_texts(request.endpoint, request.content or b""), row.model)
            given = count_tokens([said.text for said in texts_of(reply)] if reply else (), row.model)
        except (WireError, Error):  # of a kind that cannot be read
            return row
        return replace(row, usage=Usage(input_tokens=taken, output_tokens=given), counted_by="tiktoken")
