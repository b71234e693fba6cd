"""What rules conceal stands nowhere in the log: not in requests, replies or decisions, original or final."""

from __future__ import annotations

import json
import random
import string

import pytest

from lockgate.records import SessionRow
from lockgate.wire.document import dumps
from tests.addons.gated import gated
from tests.addons.messages import PATH, stream, text
from tests.upstream.proxied import Tls, tls

__all__ = ["tls"]

KEY = "gh" + "p_" + "".join(random.Random(3).choices(string.ascii_letters, k=30)) + "123456"
GUARD = {"name": "secrets", "use": "secret_guard"}


@pytest.mark.parametrize("act", ["redact", "alert"])
async def test_no_secret_reaches_the_log(tls: Tls, act: str) -> None:
    rule = {**GUARD, "with": {"requests": act, "text": act, "arguments": act}}
    said = f"The key is {KEY} and that is all."
    body = dumps({"model": "m", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": said}]})
    async with gated(tls, rule) as at:
        reply = await (await at.client()).send(body, {"x-api-key": "own-key-of-the-client-1"}, path=PATH)
        served = await at.provider.next()
        assert (KEY in served.body.decode()) == (act == "alert")
        assert served.headers["x-api-key"] == "own-key-of-the-client-1"
        pieces = [said[at : at + 7] for at in range(0, len(said), 7)]
        begin, _, end = text(0, "")
        deltas = [text(0, piece)[1] for piece in pieces]
        await served.reply(stream([begin, *deltas, end]))
        await reply.over()
        await at.log.ended()
        assert (KEY in "".join(json.loads(line)["delta"]["text"] for line in deltas_of(reply.body))) == (act == "alert")
        kept = b"".join((comm.content or b"") for comm in at.log.comms)
        kept += b"".join(decision.given + decision.out + decision.reason.encode() for decision in at.log.decisions)
    assert b"[secret:github-token:" in kept
    assert KEY.encode() not in kept
    assert KEY[8:20].encode() not in kept
    assert json.dumps(KEY[-12:]).encode()[1:-1] not in kept
    assert [row.title for row in at.log.of(SessionRow)] == [""]


def deltas_of(body: bytes) -> list[str]:
    return [line[6:] for line in body.decode().splitlines() if line.startswith("data: ") and '"text_delta"' in line]


async def test_the_clients_own_key_is_kept_from_the_model(tls: Tls) -> None:
    own = "own-key-of-the-client-1"
    body = dumps(
        {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": f"env: {own.encode().hex()}"}]}
    )
    async with gated(tls, GUARD) as at:
        reply = await (await at.client()).send(body, {"authorization": f"Bearer {own}"}, path=PATH)
        served = await at.provider.next()
        assert own.encode().hex() not in served.body.decode()
        assert "[secret:known-secret" in served.body.decode()
        await served.reply(stream(text(0, "so")))
        await reply.over()
