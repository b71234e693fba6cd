"""How pages are made: one template engine, one set of headers, one list of pages. Nothing here reads anything.

Whatever models, clients and people wrote is text: templates escape all of it, and the pages' policy lets no script run
that is not a file of ours. Control characters and halves of surrogate pairs are spelled out wherever they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from lockgate.admin.answering import packed
from lockgate.admin.console.assets import url_of
from lockgate.admin.console.rendering import gist, markdown, picture
from lockgate.admin.identity import Caller
from lockgate.storage.readable import plain
from lockgate.usage.prices import dollars

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A place in the navigation, and the key that goes there after `g`."""

    path: str
    name: str
    key: str


PAGES = (
    Page("/", "Now", "n"),
    Page("/approvals", "Approvals", "a"),
    Page("/sessions", "Sessions", "s"),
    Page("/exchanges", "Exchanges", "e"),
    Page("/policies", "Policies", "p"),
    Page("/access", "Access", "t"),
    Page("/system", "System", "y"),
)


def page(request: Request, template: str, *, caller: Caller | None, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page, or, where `template` is one, a part of it. `title` is among the values of a whole page."""
    known = {
        "who": caller and caller.administrator,
        "csrf_token": caller.csrf_token if caller else "",
        "pages": PAGES,
        "here": _place(request.url.path),
    }
    text = plain(_TEMPLATES.get_template(template).render(known | values))
    return packed(request, HTMLResponse(text, status, HEADERS))


def compile_all() -> None:
    """Make every template ready, which takes half a second: no reader waits for that."""
    for name in _TEMPLATES.list_templates():
        _TEMPLATES.get_template(name)


def _place(path: str) -> str:
    """The page of the navigation that a path belongs to."""
    first = "/" + path.strip("/").partition("/")[0]
    return first if any(first == each.path for each in PAGES) else ""


def moment(at: datetime | str | None) -> Markup:
    """A moment that the page shows in its reader's zone, and in UTC where no script runs."""
    if not at:
        return Markup("")
    whole = datetime.fromisoformat(at) if isinstance(at, str) else at
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M:%S} UTC</time>').format(whole.isoformat(), whole)


def milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def short(id: str) -> str:
    """The end of an id, which tells it from others."""
    return id[-8:]


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def money(nano_usd: int | None) -> str:
    return "" if nano_usd is None else dollars(nano_usd)


_TEMPLATES = Environment(
    loader=PackageLoader("lockgate.admin.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals["static"] = url_of  # pyright: ignore[reportArgumentType]
_TEMPLATES.filters |= {"moment": moment, "milliseconds": milliseconds, "short": short, "money": money}
_TEMPLATES.filters["count"] = lambda value: f"{value:,}"  # pyright: ignore[reportUnknownLambdaType]
_TEMPLATES.filters |= {"markdown": markdown, "picture": picture, "gist": gist, "bytes": _decoded}
