"""Debian's Chromium on the console of a desk that is served over TCP."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from lockgate.admin.listening import listen
from lockgate.admin.server import server_of
from tests.admin.desks import PASSWORD, Office

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")

PATIENCE = 60_000
"""Milliseconds: a machine that does much else is no failure."""
expect.set_options(timeout=PATIENCE)


class Visit:
    """A browser, and what it complained of."""

    def __init__(self, browser: Browser, context: BrowserContext, page: Page, base: str) -> None:
        self.browser, self.context, self.page, self.base = browser, context, page, base
        self.complaints: list[str] = []
        self.attend(page)

    def attend(self, page: Page) -> None:
        """Keep what the page complains of, in every page that is opened."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def log_in(self, name: str = "ada", password: str = PASSWORD) -> None:
        await self.page.goto(f"{self.base}/login")
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_url(lambda url: "/login" not in url)

    @asynccontextmanager
    async def going(self) -> AsyncGenerator[None]:
        """What is done within leads to a page, or to this one anew; after it that page is there, with its scripts."""
        async with self.page.expect_event("load"):
            yield


@asynccontextmanager
async def visiting(office: Office, **context: object) -> AsyncGenerator[Visit]:
    """A browser in front of the desk; `context` is Playwright's, such as `color_scheme`."""
    listening = listen("127.0.0.1:0")
    server = server_of(office.app)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    async with async_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, "--disable-dev-shm-usage"])
        made = await browser.new_context(**context)  # pyright: ignore[reportArgumentType]
        made.set_default_timeout(PATIENCE)
        visit = Visit(browser, made, await made.new_page(), f"http://127.0.0.1:{listening.getsockname()[1]}")
        try:
            yield visit
        finally:
            await browser.close()
            await office.desk.activity.close()
            server.should_exit = True
            await serving
            listening.close()
