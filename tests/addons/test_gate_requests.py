"""Requests that are changed, compressed, too long, or for nobody in particular."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest
import zstandard

from tests.addons.gated import ANTHROPIC, gated, rules
from tests.addons.messages import ASK, PATH, stream, text
from tests.upstream.byte_clients import H1Client
from tests.upstream.proxied import Http, Tls, soon, tls, tunnel

__all__ = ["tls"]

OTHER_MODEL = {"name": "other", "use": "tests.addons.steered_policies:OtherModel"}
both = pytest.mark.parametrize(("client", "upstream"), [("h1", "h1"), ("h1", "h2"), ("h2", "h1"), ("h2", "h2")])


@both
async def test_a_changed_request_goes_up_changed_and_is_kept_twice(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, OTHER_MODEL, client=client, upstream=upstream) as at:
        body = zstandard.ZstdCompressor().compress(ASK)
        reply = await (await at.client()).send(body, {"content-encoding": "zstd"}, path=PATH)
        served = await at.provider.next()
        assert json.loads(served.body) == json.loads(ASK) | {"model": "claude-other"}
        assert "content-encoding" not in served.headers
        await served.reply(stream(text(0, "so")))
        await reply.over()
        [row] = await at.log.ended()
    original, final = (comm for comm in at.log.comms if comm.type == "REQUEST")
    assert json.loads(original.content or b"")["model"] == "claude-x"
    assert json.loads(final.content or b"")["model"] == "claude-other"
    assert ("modified_to", original.id, final.id) in {(r.type, r.from_comm_id, r.to_comm_id) for r in at.log.relations}
    assert row.outcome == "changed"


async def test_a_compressed_request_that_no_rule_touches_goes_up_as_it_came(tls: Tls) -> None:
    async with gated(tls, {"name": "n", "use": "noop"}) as at:
        body = zstandard.ZstdCompressor().compress(ASK)
        reply = await (await at.client()).send(body, {"content-encoding": "zstd"}, path=PATH)
        served = await at.provider.next()
        assert (served.body, served.headers["content-encoding"]) == (body, "zstd")
        await served.reply(stream(text(0, "so")))
        await reply.over()


@both
async def test_a_request_beyond_its_limit_is_refused_in_words(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, client=client, upstream=upstream, limits={"request_bytes": 1000}) as at:
        reply = await (await at.client()).send(b"x" * 1001, path=PATH)
        await reply.over()
        assert reply.status == 400
        assert "limits.request_bytes" in json.loads(reply.body)["error"]["message"]
        assert at.provider.connections == 0
        [row] = await at.log.ended()
    assert row.outcome == "refused"


async def test_what_the_log_cannot_take_is_refused_in_words_and_leaves_no_more_for_it(tls: Tls) -> None:
    async with gated(tls) as at:
        at.log.full = "the log is full: the disk has no room"
        client = await at.client()
        reply = await client.send(ASK, path=PATH)
        await reply.over()
        assert reply.status == 400
        assert "the log is full: the disk has no room" in json.loads(reply.body)["error"]["message"]
        assert at.provider.connections == 0
        at.log.full = ""
        reply = await client.send(ASK, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "so")))
        await reply.over()
        [row] = await at.log.ended()
    assert row.outcome == "passed"


async def test_a_compressed_bomb_is_refused(tls: Tls) -> None:
    async with gated(tls, limits={"request_bytes": 10_000}) as at:
        bomb = zstandard.ZstdCompressor().compress(b" " * 1_000_000)
        reply = await (await at.client()).send(bomb, {"content-encoding": "zstd"}, path=PATH)
        await reply.over()
        assert reply.status == 400
        assert at.provider.connections == 0


@pytest.mark.parametrize("path", ["/v1//messages", "/v1/./messages", "/x/../v1/messages/", "/v1/%6dessages?beta=true"])
async def test_no_spelling_of_a_path_gets_round_the_rules(tls: Tls, path: str) -> None:
    async with gated(tls, {"name": "shut", "use": "refuse", "with": {"sentence": "no"}}) as at:
        reply = await (await at.client()).send(ASK, path=path)
        await reply.over()
        assert reply.status == 400
        assert at.provider.connections == 0


async def test_a_request_for_another_host_on_a_model_hosts_connection_is_misdirected(tls: Tls) -> None:
    async with gated(tls) as at:
        reply = await (await at.client()).send(ASK, {"host": "api.openai.com"}, path="/v1/responses")
        await reply.over()
        assert reply.status == 421
        assert at.provider.connections == 0


async def test_an_unknown_endpoint_may_be_blocked(tls: Tls) -> None:
    async with gated(tls, unknown_endpoint="block") as at:
        reply = await (await at.client()).send(b"{}", path="/v1/files")
        await reply.over()
        assert reply.status == 400
        assert "unknown_endpoint" in json.loads(reply.body)["error"]["message"]


async def test_a_new_policy_set_is_for_new_exchanges(tls: Tls) -> None:
    async with gated(tls, {"name": "n", "use": "noop"}) as at:
        first = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        assert at.registry.swap(rules({"name": "shut", "use": "refuse", "with": {"sentence": "no"}}))
        await served.reply(stream(text(0, "so")))
        await first.over()
        second = await (await at.client()).send(ASK, path=PATH)
        await second.over()
        assert (first.status, second.status) == (200, 400)
        before, after = await at.log.ended(2)
    assert before.policy_set != after.policy_set


async def test_another_host_is_tunnelled_with_its_own_certificate(tls: Tls) -> None:
    async with gated(tls) as at:
        context = ssl.create_default_context(cafile=tls.provider_ca)
        _, writer = await tunnel(at.proxy.port, "localhost", at.provider.port, context)
        writer.transport.abort()
        assert at.log.records == []


async def test_a_host_out_of_bounds_is_refused(tls: Tls) -> None:
    async with gated(tls, egress=["*.example.com"]) as at:
        context = ssl.create_default_context(cafile=tls.provider_ca)
        with pytest.raises(ConnectionError, match="403"):
            await tunnel(at.proxy.port, "localhost", at.provider.port, context)
        assert (await at.client(ANTHROPIC)) is not None


async def test_a_connect_to_an_address_is_known_by_its_tls_name(tls: Tls) -> None:
    shut = {"name": "shut", "use": "refuse", "with": {"sentence": "no"}}
    async with gated(tls, shut) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.proxy.port)
        writer.write(b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nhost: 127.0.0.1:443\r\n\r\n")
        assert b" 200 " in await soon(reader.readuntil(b"\r\n\r\n"))
        await soon(writer.start_tls(tls.for_client("h1"), server_hostname=ANTHROPIC))
        client = H1Client(reader, writer, ANTHROPIC)
        reply = await client.send(ASK, path=PATH)
        await reply.over()
        assert reply.status == 400
        client.close()


async def test_counting_tokens_shows_the_rules_its_request(tls: Tls) -> None:
    async with gated(tls, OTHER_MODEL) as at:
        reply = await (await at.client()).send(ASK, path="/v1/messages/count_tokens")
        served = await at.provider.next()
        assert json.loads(served.body)["model"] == "claude-other"
        await served.reply(b'{"input_tokens": 5}', headers={"content-type": "application/json"})
        await reply.over()
        assert reply.body == b'{"input_tokens": 5}'
        [row] = await at.log.ended()
    assert row.kind == "other"
