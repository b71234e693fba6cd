"""The tests' own CONNECT proxy: it leads names to one port, and nowhere else."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2
import pytest

from tests.clients.forwarder import Forwarder
from tests.upstream.provider import Provider
from tests.upstream.script import says
from tests.upstream.tls import Authority


async def test_a_name_is_led_to_the_port_and_others_are_refused(
    authority: Authority, provider_certificate: Path
) -> None:
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    async with (
        Provider(says("Hi"), certificate=provider_certificate) as provider,
        Forwarder(("api.openai.com",), provider.port) as forwarder,
        httpx2.AsyncClient(proxy=forwarder.url, verify=trust) as http,
    ):
        reply = await http.post("https://api.openai.com/v1/responses", json={"input": "Hi"})
        with pytest.raises(httpx2.ProxyError):
            await http.get("https://example.com/")
    assert reply.json()["output"][0]["content"][0]["text"] == "Hi"
    assert forwarder.asked == ["api.openai.com:443", "example.com:443"]
