"""Writes the pictures of the console into docs/pictures: every page of a made-up office, light and dark, in Chromium.

`just pictures` runs it. Pictures are small, so that the repository stays so.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from playwright.async_api import Page  # noqa: E402

from lockgate.policies.registry import Registry, load_rules  # noqa: E402
from tests.admin.browser import visiting  # noqa: E402
from tests.admin.desks import PASSWORD, Office, a_proxy, office  # noqa: E402
from tests.admin.filled import fill  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
SIZE = {"width": 1280, "height": 720}
MOST_BYTES = 180_000
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A page, and what has to be on it."""

    name: str
    path: str
    waits_for: str = "h1"


def pictures(session: str, exchange: str) -> list[Picture]:
    of_exchange = f"/exchanges/{exchange}"
    return [
        Picture(name="now", path="/", waits_for="#live tbody tr"),
        Picture(name="session", path=f"/sessions/{session}"),
        Picture(name="exchange", path=of_exchange),
        Picture(name="frames", path=f"{of_exchange}#frames", waits_for="table.frames"),
        *(Picture(name=name, path=f"/{name}") for name in ("approvals", "sessions", "exchanges", "policies", "stops")),
        Picture(name="access", path="/access"),
        *(
            Picture(name=f"access-{name}", path=f"/access/{name}")
            for name in ("tokens", "keys", "usage", "budgets", "audit", "administrators")
        ),
        Picture(name="system", path="/system"),
    ]


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        proxy = replace(a_proxy(), registry=Registry(load_rules(None)))
        async with office(f"sqlite:///{home}/lockgate.db", Path(home), proxy) as here:
            key = here.hire("ada", "admin", password=PASSWORD)
            session = await fill(here)
            wanted = pictures(session, await _blocked(here, key))
            FOLDER.mkdir(exist_ok=True)
            if large := await _take(here, wanted):
                raise SystemExit(f"more than {MOST_BYTES:,} bytes: {', '.join(large)}")


async def _blocked(here: Office, key: str) -> str:
    """The exchange whose call was not let through, which is the newest of the session."""
    async with here.client(key) as client:
        items = (await client.get("/api/exchanges?limit=500")).json()["items"]
    return next(each["id"] for each in items if each["session_id"] and each["outcome"] == "blocked")


async def _take(here: Office, wanted: list[Picture]) -> list[str]:
    """Gives the names of those that are too large."""
    large: list[str] = []
    async with visiting(here, viewport=SIZE, reduced_motion="reduce") as visit:
        await visit.log_in()
        for each, scheme in product(wanted, SCHEMES):
            await visit.page.emulate_media(color_scheme=scheme)
            await visit.page.goto(visit.base + each.path)
            await _settle(visit.page, each.waits_for)
            file = FOLDER / (f"{each.name}.png" if scheme == "light" else f"{each.name}-{scheme}.png")
            await visit.page.screenshot(path=file)
            size = file.stat().st_size
            if size > MOST_BYTES:
                large.append(file.name)
            print(f"{file.relative_to(ROOT)}  {size:,} bytes")
    return large


async def _settle(page: Page, waits_for: str) -> None:
    """Until nothing more comes; the page Now always has its stream open, and is given its charts."""
    await page.wait_for_selector(waits_for)
    if waits_for.startswith("#"):
        await page.wait_for_selector("#chart-latency canvas")
    else:
        await page.wait_for_load_state("networkidle")
    await page.evaluate("document.fonts.ready")


if __name__ == "__main__":
    asyncio.run(main())
