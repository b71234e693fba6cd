"""What an exchange takes of limits and budgets: before it begins, and when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from lockgate.access import estimate
from lockgate.access.budgets import NOTHING, Budgets, Line, Reserved, Sum, lines_of
from lockgate.access.limits import Limited, Limiter, MemoryLimiter, Size, Subject, Taken
from lockgate.access.records import Token
from lockgate.config import SharedLimits
from lockgate.events import Request, Usage
from lockgate.exchange import Exchange
from lockgate.records import now
from lockgate.usage.prices import Prices

FIRST_TOKENS = 1000
"""Of a reply, that a rate of tokens counts before it came: most are far shorter than they may be."""


@dataclass(slots=True, kw_only=True)
class Stay:
    """What one exchange has taken, and what it is held to."""

    x: Exchange
    input_tokens: int
    """About."""
    map_to: str = ""
    """The model that is asked instead, as a budget is used up."""
    why: str = ""
    """Why that."""
    warning: str = ""
    """For the client: that a budget nears its end."""
    reply_bytes: int | None = None
    answered: bool = False
    """Whether the provider gave a reply, and not an error."""
    taken: Taken | None = None
    reserved: Reserved | None = None


@dataclass(slots=True)
class _Asked:
    """A request next to its budgets: they may change the model, and so what it costs."""

    model: str
    usage: Usage
    sum: Sum = field(default_factory=Sum)


class Charges:
    """The limits and budgets of one proxy."""

    def __init__(
        self,
        shared: SharedLimits,
        budgets: Budgets,
        prices: Callable[[], Prices],
        *,
        limiter: Limiter | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._shared, self._budgets, self._read_prices = shared, budgets, prices
        self._limiter, self._clock = limiter or MemoryLimiter(), clock
        self._prices: Prices | None = None
        self.hold_everyone = bool(shared.address.model_fields_set or shared.all.model_fields_set)
        """Whether who shows no token is held to limits too."""

    async def begin(self, x: Exchange, token: Token | None, request_bytes: int) -> Stay | None:
        """Before the request is sent; None where nothing limits it.

        Raises Limited where it may not be, AccessError where its cost cannot be known, StorageError where what was
        used cannot.
        """
        subjects, lines = self._subjects(x.client, token), self._lines(token)
        if not subjects and not lines:
            return None
        await self._know(lines)
        counts = bool(lines) or any(subject.limits.tokens_per_minute for subject in subjects)
        stay = Stay(x=x, input_tokens=estimate.input_tokens(x.request) if counts else 0)
        asked = self._fitted(stay, lines, x.request)
        if lines:
            stay.reserved = self._budgets.reserve(lines, asked.sum)
        if subjects:
            await self._take(stay, subjects, request_bytes)
        if lines:
            stay.warning = self._budgets.warning(lines)
        return stay

    async def _take(self, stay: Stay, subjects: list[Subject], request_bytes: int) -> None:
        """Of the limits; what was reserved before is free again where they have no room."""
        try:
            stay.taken = await self._limiter.take(subjects, _size(stay, stay.x.request, request_bytes))
        except BaseException:
            if stay.reserved:
                self._budgets.settle(stay.reserved, NOTHING)
            raise
        stay.reply_bytes = min((n for s in subjects if (n := s.limits.reply_bytes)), default=None)

    def end(self, stay: Stay, usage: Usage) -> None:
        """The exchange is over, and this is what it took."""
        if stay.taken:
            self._limiter.give_back(stay.taken, usage.total)
        if stay.reserved:
            cost = self._cost(stay.x, stay.x.model, usage)
            self._budgets.settle(stay.reserved, Sum(usage.total, stay.reserved.sum.nano_usd if cost is None else cost))

    def _subjects(self, client: str, token: Token | None) -> list[Subject]:
        given = [Subject("all", "", self._shared.all), Subject("address", client, self._shared.address)]
        if token:
            given.append(Subject("token", token.id, token.grant.limits))
            given.append(Subject("project", token.project_id, token.project_grant.limits))
        return [subject for subject in given if subject.limits.model_fields_set]

    def _lines(self, token: Token | None) -> list[Line]:
        if token is None or not (token.grant.budgets or token.project_grant.budgets):
            return []
        at = self._clock()
        return [
            *lines_of("token", token.id, token.grant, at),
            *lines_of("project", token.project_id, token.project_grant, at),
        ]

    async def _know(self, lines: list[Line]) -> None:
        if lines:
            if self._prices is None:
                self._prices = await asyncio.to_thread(self._read_prices)
            await self._budgets.read(lines)

    def _fitted(self, stay: Stay, lines: list[Line], request: Request) -> _Asked:
        """What is reserved. Raises Limited for what no budget has room for; one that maps is used up only once."""
        usage = Usage(input_tokens=stay.input_tokens, output_tokens=estimate.output_tokens(request.document))
        asked, left = _Asked(request.model, usage), lines
        while left:
            asked.sum = self._sum(stay.x, asked, left)
            if (line := self._budgets.over(left, asked.sum)) is None:
                return asked
            if line.budget.then == "refuse":
                raise Limited(self._refusal(line, asked), kind="budget")
            left = [other for other in left if other is not line]
            if line.budget.map_to != asked.model:
                asked.model, stay.map_to, stay.why = line.budget.map_to, line.budget.map_to, f"{line} is used up"
        if lines:
            asked.sum = self._sum(stay.x, asked, lines)
        return asked

    def _sum(self, x: Exchange, asked: _Asked, lines: list[Line]) -> Sum:
        cost = self._cost(x, asked.model, asked.usage)
        if cost is None and any(line.budget.tokens is None for line in lines):
            raise Limited(
                f"the model {asked.model or 'that is not named'} has no price that Lockgate knows, and a budget in "
                "dollars stands for it: its operator adds the price to `prices`",
                kind="budget",
            )
        return Sum(asked.usage.total, cost or 0)

    def _cost(self, x: Exchange, model: str, usage: Usage) -> int | None:
        """Nano-dollars."""
        assert self._prices
        return self._prices.cost(usage, provider=x.provider, host=x.host, model=model)

    def _refusal(self, line: Line, asked: _Asked) -> str:
        left = self._budgets.left(line)
        needs, has = line.said(line.of(asked.sum)), line.said(left)
        if left:
            return f"{line} has {has} left, and this request may take {needs}: ask for fewer tokens in the reply"
        return f"{line} is used up"


def _size(stay: Stay, request: Request, request_bytes: int) -> Size:
    said = min(FIRST_TOKENS, estimate.output_tokens(request.document))
    return Size(
        request_bytes=request_bytes,
        messages=estimate.messages(request.document),
        tokens=stay.input_tokens + said,
    )
