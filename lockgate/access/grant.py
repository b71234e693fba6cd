"""What a project or a token may do: what it reaches, how fast, for how much, and by which rules.

A token's grant narrows its project's: an exchange has to fit both. What is left out says nothing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from lockgate.config import AccessLimits as Limits
from lockgate.config import Section

type Period = Literal["day", "month", "life"]
type Value = str | int | float | bool | None

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ENDPOINT = re.compile(r"/[\x21-\x7e]*")


class Allow(Section):
    """What may be reached. `*` stands for any characters in a name, and for one part of a path; `**` for several."""

    model_config = ConfigDict(allow_inf_nan=False)  # what JSON cannot say cannot be kept

    providers: tuple[str, ...] = ()
    """Of `anthropic`, `openai`, `google`, or host names."""
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Paths, without a query: /v1/messages, /v1/files/*."""
    parameters: dict[str, tuple[Value, ...]] = Field(default_factory=dict[str, tuple[Value, ...]])
    """The values that a request may have at a path of its document: `service_tier: [auto, default]`."""
    addresses: tuple[str, ...] = ()
    """Of clients: 192.0.2.7, 10.0.0.0/8."""
    origins: tuple[str, ...] = ()
    """Of web pages: https://app.example.com."""

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        methods = tuple(method.upper() for method in given)
        if unknown := [method for method in methods if method not in METHODS]:
            raise ValueError(f"{unknown[0]!r} is no HTTP method; known are {', '.join(sorted(METHODS))}")
        return methods

    @field_validator("endpoints")
    @classmethod
    def _are_paths(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for path in given:
            if not _ENDPOINT.fullmatch(path) or "?" in path:
                raise ValueError(f"{path!r} is no endpoint: write a path such as /v1/messages, without a query")
        return given

    @field_validator("addresses")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(each, strict=False)) for each in given)

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            if not re.fullmatch(r"https?://[^/\s?#]+", origin):
                raise ValueError(f"{origin!r} is no origin: write https://HOST[:PORT]")
        return given


class Budget(Section):
    """What may be used up in a period. Days and months are those of UTC."""

    model_config = ConfigDict(allow_inf_nan=False)

    per: Period
    tokens: int | None = Field(default=None, gt=0)
    usd: float | None = Field(default=None, gt=0)
    warn_at: float = Field(default=0.8, gt=0, le=1)
    """The share from which on answers warn."""
    then: Literal["refuse", "map"] = "refuse"
    """What happens when it is used up: refused, or sent to a cheaper model."""
    map_to: str = ""
    """That model."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.tokens is None) == (self.usd is None):
            raise ValueError("a budget is in 'tokens' or in 'usd'")
        if (self.then == "map") != bool(self.map_to):
            raise ValueError("'map_to' names the model for 'then: map'")
        return self


class Grant(Section):
    """All of it."""

    allow: Allow = Allow()
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()
    policy: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")
    """A policy set by its name: its rules hold too."""
