"""`model_guard`: which models may be asked, in place of which others, and within which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Path, Request
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.option_types import doing


class Bounds(Section):
    """What a number may be."""

    least: float | None = None
    """A smaller one becomes this."""
    most: float | None = None
    """A larger one becomes this."""

    @model_validator(mode="after")
    def _are_in_order(self) -> Bounds:
        doing(self, "least", "most", off=(None,))
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("'least' is larger than 'most'")
        return self


class Options(Section):
    """Which models, and which parameters."""

    allow: list[str] = Field(default_factory=list[str])
    """The models that may be asked; `*` stands for any letters. Empty: all of them."""
    deny: list[str] = Field(default_factory=list[str])
    """The models that may not, even where `allow` names them."""
    map: dict[str, str] = Field(default_factory=dict[str, str])
    """Asked for: model that is asked instead. The first name that fits counts; `allow` and `deny` are about what it
    becomes."""
    clamp: dict[str, Bounds] = Field(default_factory=dict[str, Bounds])
    """Parameter: the bounds of its number, such as max_tokens. A dot leads into an object: thinking.budget_tokens."""
    set: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Parameter: the value that it always has, such as `store: false`."""
    remove: list[str] = Field(default_factory=list[str])
    """Parameters that are left out."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, *type(self).model_fields, off=([], {}))

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        if refused := next((to for to in self.map.values() if not self.may_be_asked(to)), None):
            raise ValueError(f"'map' leads to {refused}, which 'allow' and 'deny' do not let pass")
        if both := next((name for name in self.remove if name in self.set or name in self.clamp), None):
            raise ValueError(f"'remove' names {both}, and so does 'set' or 'clamp': leave it out of one of them")
        return self

    def may_be_asked(self, model: str) -> bool:
        """Whether the model is one of those that `allow` and `deny` let pass."""
        allowed = not self.allow or any(_fits(model, name) for name in self.allow)
        return allowed and not any(_fits(model, name) for name in self.deny)


class ModelGuard(Policy):
    """Allows and maps models, and keeps the parameters of requests within bounds.

    Only the values that differ are changed, so that a provider's prompt cache still hits. The client is not told.

    Example:
        deny: ["*-preview"]
        map: {"gpt-4*": gpt-5-mini}
        clamp: {max_tokens: {most: 32000}, temperature: {least: 0, most: 1}}
    """

    Options = Options

    async def on_request(self, request: Request, x: Exchange) -> Request:
        options: Options = self.options
        model = next((to for name, to in options.map.items() if _fits(request.model, name)), request.model)
        if not options.may_be_asked(model):
            allowed = f" Allowed are: {', '.join(options.allow)}." if options.allow else ""
            raise Blocked(f"The model {model or 'that is not named'} may not be asked here.{allowed}")
        request = with_model(request, model)
        values: dict[Path, Any] = {}
        for name, bounds in options.clamp.items():
            path = tuple(name.split("."))
            value = _at(request.document, path)
            if not isinstance(value, int | float | None) or isinstance(value, bool):
                raise Blocked(f"The parameter {name} is no number here, so it cannot be held within its bounds.")
            if (number := _clamped(value, bounds)) is not None:
                values[path] = number
        out = request.with_values(values) if values else request
        return _with_settings(out, options)


def with_model(request: Request, model: str) -> Request:
    """The request, asking this model. Raises Blocked where it cannot be changed."""
    if model == request.model:
        return request
    if "model" not in request.document:
        raise Blocked("This request names its model outside of its body, where it cannot be mapped.")
    return request.with_values({("model",): model})


def _fits(model: str, name: str) -> bool:
    return fnmatchcase(model.lower(), name.lower())


def _at(document: Mapping[str, Any], path: Path) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value  # pyright: ignore[reportUnknownVariableType]


def _clamped(value: float | int | None, bounds: Bounds) -> float | int | None:
    """The number that it becomes; None where it stays, or is not given."""
    if value is None:
        return None
    low = bounds.least if bounds.least is not None and value < bounds.least else value
    new = bounds.most if bounds.most is not None and low > bounds.most else low
    if new == value:
        return None
    return int(new) if isinstance(value, int) and float(new).is_integer() else new


def _with_settings(request: Request, options: Options) -> Request:
    """With what always is so; a parameter that is not there is added."""
    document = request.document
    changed = {name: value for name, value in options.set.items() if document.get(name, ...) != value}
    gone = [name for name in options.remove if name in document]
    if not changed and not gone:
        return request
    new = {name: value for name, value in document.items() if name not in gone} | changed
    return request.with_document(new)
