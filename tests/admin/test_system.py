"""What `/api/system` and the page System tell: how the proxy is, its certificate, its configuration, and no secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from playwright.async_api import expect

from lockgate.admin.proxy import Proxy
from lockgate.admin.settings import HIDDEN, settings_of
from lockgate.certs.ca import open_authority
from lockgate.config import Config, Loaded
from lockgate.health import Degraded, Health
from lockgate.metrics import Gauge
from lockgate.records import now
from lockgate.storage.heartbeat import Heartbeat, Serving
from tests.admin.browser import needs_chromium, visiting
from tests.admin.desks import PASSWORD, Office, a_proxy, office
from tests.admin.pages import suspicious
from tests.admin.payloads import WITHOUT_HALVES
from tests.storage.logs import remember
from tests.storage.records import audit_entry, exchange_row


def troubled() -> Proxy:
    """One with a part that is not well, and a queue."""
    state = Degraded(what=f"it is away {WITHOUT_HALVES}", since=datetime(2026, 11, 21, tzinfo=UTC), detail="at /there")
    proxy = a_proxy(Health({"database": lambda: state, "spill": lambda: None}))
    proxy.metrics.gauges.append(Gauge("lockgate_log_queue_rows", "Records that wait.", lambda: 1234))
    proxy.metrics.gauges.append(Gauge("lockgate_part_up", "Each part.", lambda: {"database": 0.0}, "part"))
    return proxy


async def test_it_says_how_all_is(sqlite_url: str, tmp_path: Path) -> None:
    async with office(sqlite_url, tmp_path, troubled()) as here:
        await remember(here.url, [exchange_row()])
        authority = open_authority(here.desk.loaded.config.ca, here.desk.loaded.config.hosts)
        async with here.client(here.hire("vera", "viewer")) as client:
            said = (await client.get("/api/system")).json()
            html = (await client.get("/system", headers={"accept": "text/html"})).text
    assert said["health"]["state"] == "degraded"
    assert said["numbers"] == [{"name": "lockgate_log_queue_rows", "help": "Records that wait.", "value": 1234.0}]
    assert [(each["chain"], each["batches"], each["signed"]) for each in said["writers"]] == [(1, 1, False)]
    assert said["authority"]["fingerprint"] == authority.fingerprint
    assert {"python", "lockgate", "mitmproxy"} <= set(said["versions"])
    assert suspicious(html) == []
    for text in ("it is away", "at /there", "1,234", authority.fingerprint, "NODE_EXTRA_CA_CERTS=lockgate-ca.pem"):
        assert text in html


async def test_proxies_are_told_from_those_that_ended_or_are_lost(sqlite_url: str, tmp_path: Path) -> None:
    there = a_proxy()
    said = Serving(listen=(f"10.0.0.7:8080{WITHOUT_HALVES}",), policy_set="12ab", open_exchanges=4321, held=17)
    long_ago = now() - timedelta(minutes=5)
    hearts = [
        Heartbeat(sqlite_url, lambda: said, started_at=there.health.started_at),
        Heartbeat(sqlite_url, Serving, clock=lambda at: long_ago),
        Heartbeat(sqlite_url, Serving),
    ]
    for heart in hearts:
        await heart.beat()
    await hearts[2].close()
    async with office(sqlite_url, tmp_path, there) as here, here.client(here.hire("vera", "viewer")) as client:
        proxies = (await client.get("/api/system")).json()["proxies"]
        html = (await client.get("/system", headers={"accept": "text/html"})).text
    assert [(each["state"], each["is_here"]) for each in proxies] == [
        ("serving", True),
        ("lost", False),
        ("ended", False),
    ]
    assert (proxies[0]["open_exchanges"], proxies[0]["held"], proxies[0]["policy_set"]) == (4321, 17, "12ab")
    assert suspicious(html) == []
    for text in ("4,321", "this one", '<span class="badge bad">lost</span>', "ended"):
        assert text in html
    for heart in hearts[:2]:
        await heart.close()


async def test_a_certificate_that_is_not_there_is_not_made(here: Office) -> None:
    key = here.hire("vera", "viewer")
    async with here.client(key) as client:
        assert (await client.get("/api/system")).json()["authority"] is None
        assert (await client.get("/api/system/certificate")).status_code == 404
    assert not (here.desk.loaded.config.ca).exists()


@pytest.mark.parametrize("form", ["pem", "der", "p12"])
async def test_the_certificate_is_given_without_its_key(here: Office, form: str) -> None:
    authority = open_authority(here.desk.loaded.config.ca, here.desk.loaded.config.hosts)
    async with here.client(here.hire("vera", "viewer")) as client:
        answer = await client.get(f"/api/system/certificate?form={form}")
    assert answer.headers["content-disposition"] == f'attachment; filename="lockgate-ca.{form}"'
    assert b"PRIVATE" not in answer.content
    if form == "pem":
        assert x509.load_pem_x509_certificate(answer.content) == authority.certificate


def test_settings_have_their_origins_and_no_secret(tmp_path: Path) -> None:
    rule = {"name": "ask", "use": "ask", "with": {"webhook": "https://hooks.example/T0/s3cret", "key": "s3cret"}}
    config = Config.model_validate({
        "home": tmp_path, "database": "postgresql://ada:s3cret@db/lockgate", "rules": [rule],
        "hosts": {"m.example": {"format": "openai", "upstream": "https://u:s3cret@up.example/v1"}},
        "access": {"key_env": "LOCKGATE_KEY", "key_file": tmp_path / "access.key"},
    })  # fmt: skip
    found = settings_of(Loaded(config=config, file=None, origins={"database": "environment"}))
    by_name: dict[str, Any] = {each.name: each for each in found}
    assert "s3cret" not in json.dumps([each.model_dump(mode="json") for each in found])
    assert set(by_name) == set(Config.model_fields)
    assert (by_name["database"].value, by_name["database"].origin) == (
        f"postgresql://{HIDDEN}@db/lockgate",
        "environment",
    )
    assert by_name["hosts"].value["m.example"]["upstream"] == f"https://{HIDDEN}@up.example/v1"
    assert by_name["access"].value["key_env"] == "LOCKGATE_KEY"
    assert by_name["access"].value["key_file"] == str(tmp_path / "access.key")
    assert by_name["rules"].value == ["ask (ask)"]
    assert by_name["limits"].origin == "default"


async def test_a_proxy_that_wants_tokens_and_listens_everywhere_says_so(sqlite_url: str, tmp_path: Path) -> None:
    config = Config(database=sqlite_url, home=tmp_path, listen="0.0.0.0:8080")
    loaded = Loaded(config=config, file=None, origins={})
    metrics = a_proxy().metrics
    proxy = Proxy(activity=a_proxy().activity, health=Health({}), metrics=metrics, loaded=loaded)
    async with office(sqlite_url, tmp_path, proxy) as here, here.client(here.hire("vera", "viewer")) as client:
        html = (await client.get("/system", headers={"accept": "text/html", "host": "localhost:8081"})).text
    assert "HTTPS_PROXY=http://lockgate:TOKEN@localhost:8080" in html


async def test_the_trail_is_exported_as_lines(anywhere: Office) -> None:
    every = [audit_entry(subject=f"token {number}") for number in range(3)]
    await remember(anywhere.url, [*every, audit_entry(who="eve", act="access.unknown", outcome="denied")])
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        answer = await client.get("/api/audit/export?act=token")
        assert answer.headers["content-type"].startswith("application/jsonl")
        assert [json.loads(line)["id"] for line in answer.text.splitlines()] == [each.id for each in every]
        assert len((await client.get("/api/audit/export")).text.splitlines()) == 4
        assert (await client.get("/api/audit/export?outcome=x")).status_code == 422
    async with anywhere.client() as client:
        assert (await client.get("/api/audit/export")).status_code == 401


@pytest.mark.browser
@needs_chromium
async def test_instructions_are_copied(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here, permissions=["clipboard-read", "clipboard-write"]) as visit:
        await visit.log_in()
        await visit.page.goto(f"{visit.base}/system")
        await visit.page.get_by_text("Codex", exact=True).click()
        await visit.page.get_by_role("button", name="Copy what Codex needs").click()
        await expect(visit.page.locator("#said")).to_have_text("Copied.")
        copied = await visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == "export HTTPS_PROXY=http://127.0.0.1:8080\nexport CODEX_CA_CERTIFICATE=roots.pem"
        assert visit.complaints == []
