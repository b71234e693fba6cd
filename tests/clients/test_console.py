"""Claude Code's and Codex's calls are held by a real proxy, and decided in a real browser at its console."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from lockgate.access import passwords
from lockgate.access.keyring import keyring_of
from lockgate.config import load_config
from lockgate.storage import schema
from lockgate.storage.administrators import Administrators
from tests.admin.browser import CHROMIUM, needs_chromium
from tests.admin.desks import PASSWORD
from tests.clients.agents import CODING, Agent, through
from tests.clients.running import MARKER, Home, run
from tests.clients.test_end_to_end import Operator, operator
from tests.clients.test_tokens import serving
from tests.upstream.provider import Provider

__all__ = ["operator"]

pytestmark = [pytest.mark.clients, pytest.mark.browser, needs_chromium, pytest.mark.timeout(600)]

ASK = {"name": "ask-first", "use": "approval", "with": {"deadline_seconds": 80}}
PATIENCE = 60_000
"""Milliseconds that a client may take to come to its call."""
START = 240_000
"""The same for the console, which is imported when the proxy listens already; who connects before that waits."""
coding_agents = pytest.mark.parametrize("agent", CODING, ids=str, indirect=True)


def configured(operator: Operator) -> tuple[Path, int]:
    """The configuration of a proxy with a console, and the console's port; with an operator who can log in."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    file = operator.configure([ASK])
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"listen": "127.0.0.1:0", "admin": {"listen": f"127.0.0.1:{port}"}}))
    config = load_config(file)
    schema.upgrade(config.database)
    with Administrators(config.database, keyring_of(config)) as people:
        people.create("oda", "operator", password=passwords.hashed(PASSWORD))
    return file, port


@asynccontextmanager
async def watching(port: int) -> AsyncGenerator[Page]:
    """The page Approvals, in a browser, live."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, "--disable-dev-shm-usage"])
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE)
        try:
            await page.goto(f"http://127.0.0.1:{port}/login?then=/approvals", timeout=START)
            await page.get_by_label("Name").fill("oda")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Log in").click()
            await expect(page.locator("#state")).to_have_text("live", timeout=PATIENCE)
            yield page
        finally:
            await browser.close()


@coding_agents
@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_held_call_is_decided_in_the_browser(
    agent: Agent, provider: Provider, operator: Operator, home: Home, decision: str
) -> None:
    file, console = configured(operator)
    async with serving(file, operator.folder) as port, watching(console) as page:
        ca = operator.folder / "data" / "ca" / "mitmproxy-ca-cert.pem"
        environment = agent.environment(home.folder) | through(f"http://127.0.0.1:{port}", ca)
        command = agent.command("Touch the marker file, please.")
        running = asyncio.ensure_future(run(command, environment, home.work))
        held = page.locator("#held article.held")
        await expect(held).to_have_count(1, timeout=PATIENCE)
        await expect(held).to_contain_text(f"touch {MARKER}")
        assert not (home.work / MARKER).exists()
        await page.keyboard.press("j")
        await page.keyboard.press("a" if decision == "approve" else "d")
        if decision == "deny":
            await page.get_by_label("Note, for the record").fill("not on a Friday")
            await page.get_by_label("The agent may read the note").check()
        await page.locator("#decide-yes").click()
        await expect(page.locator("#decided")).to_contain_text("approved" if decision == "approve" else "denied")
        ran = await running
    assert ran.code == 0, ran.err
    assert (home.work / MARKER).exists() == (decision == "approve")
    assert ("done: " if decision == "approve" else "not on a Friday") in ran.out, (ran.out, ran.err)
