"""The page System: how the proxy is, what clients need to trust it, and how it was configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from lockgate.admin import system
from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.settings import Setting
from lockgate.admin.trusting import instructions

router = APIRouter(route_class=ActRoute, include_in_schema=False)


@router.get("/system", name="system.page")
async def show(request: Request, caller: ForViewers, desk: AtDesk) -> HTMLResponse:
    report = await system.show(caller, desk)
    return page(
        request, "system.html", caller=caller, title="System", report=report,
        settings=[row for each in report.settings for row in _rows(each)],
        clients=instructions(proxy=proxy_address(desk, request), token=desk.loaded.config.access_mode == "token"),
    )  # fmt: skip


def proxy_address(desk: Desk, request: Request) -> str:
    """HOST:PORT for clients: where the proxy listens everywhere, by the name that this page was asked for."""
    host, port = desk.loaded.config.listen_host, desk.loaded.config.listen_port
    if host in ("0.0.0.0", "::", ""):
        host = request.url.hostname or "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _rows(setting: Setting) -> Iterator[tuple[str, str, str]]:
    """Name, value and origin; the keys of a section each for themselves."""
    whole: object = setting.value
    section = cast(dict[str, Any], whole) if isinstance(whole, dict) else {}
    for key, value in section.items():
        yield f"{setting.name}.{key}", _said(value), setting.keys[key]
    if not section:
        yield setting.name, _said(whole), setting.origin


def _said(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(_given(value))


def _given(value: Any) -> Any:
    """Without what was left out."""
    if not isinstance(value, dict):
        return value
    return {key: _given(each) for key, each in cast(dict[str, Any], value).items() if each not in (None, {})}
