"""Real clients, started as `lockgate run` starts them, accept the authority for the hosts it may sign and no others."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.certs import CertStore

from lockgate.certs.ca import Authority, open_authority
from lockgate.certs.trust import bundle, client_environment
from tests.certs.clients import CLIENTS, Client
from tests.certs.site import Site, site

MODEL_HOST = "api.anthropic.com"
OTHER_HOST = "www.example.net"


def _available(client: Client) -> bool:
    return bool(client.program and shutil.which(client.program))


def _parameter(client: Client, *marks: pytest.MarkDecorator) -> Any:
    return pytest.param(
        client, id=client.name, marks=[*marks, pytest.mark.skipif(not _available(client), reason="not installed")]
    )


deaf = pytest.mark.xfail(strict=True, reason="Java reads no constraints from a certificate in its trust store")

every_client = pytest.mark.parametrize("client", [_parameter(client) for client in CLIENTS])
every_client_if_deaf_failing = pytest.mark.parametrize(
    "client", [_parameter(client, *([] if client.follows_constraints else [deaf])) for client in CLIENTS]
)


async def fetch(client: Client, authority: Authority, host: str, folder: Path) -> Site:
    """Lets the client ask for the host, whose server has a leaf from this authority."""
    # No file of the machine names the roots or the proxy: what the client learns, it learns from us.
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "UV_HTTP_RETRIES": "0"}
    async with site(authority.folder, host, folder) as seen:
        given = client_environment(
            seen.proxy_url, authority, bundle(authority, folder, bare), bare, hosts=[MODEL_HOST]
        ).variables
        process = await asyncio.create_subprocess_exec(
            *client.command(f"https://{host}/", folder),
            env=dict(given),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        print(output.decode(errors="replace"))  # pytest shows it where a test fails
    return seen


@every_client
async def test_a_model_host_is_accepted(client: Client, tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "ca", [MODEL_HOST, "10.0.0.1"])

    seen = await fetch(client, authority, MODEL_HOST, tmp_path)

    assert seen.requests
    assert set(seen.targets) == {f"{MODEL_HOST}:443"}


@every_client_if_deaf_failing
async def test_any_other_host_is_refused(client: Client, tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "ca", [MODEL_HOST])

    seen = await fetch(client, authority, OTHER_HOST, tmp_path)

    assert set(seen.targets) == {f"{OTHER_HOST}:443"}
    assert seen.requests == []


@every_client
async def test_an_authority_without_limits_may_sign_any_host(client: Client, tmp_path: Path) -> None:
    """The constraints alone are what the other test's refusal comes from."""
    (tmp_path / "ca").mkdir(mode=0o700)
    CertStore.create_store(tmp_path / "ca", "mitmproxy", 2048)
    authority = open_authority(tmp_path / "ca", [MODEL_HOST])

    seen = await fetch(client, authority, OTHER_HOST, tmp_path)

    assert seen.requests
