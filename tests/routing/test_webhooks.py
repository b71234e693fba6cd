"""Other programs are told, signed, a few times at most; that they are not there changes nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lockgate.ports import Webhook
from lockgate.records import now
from lockgate.routing import webhooks
from lockgate.routing.webhooks import HttpWebhooks, signed
from lockgate.wire.document import dumps
from tests.routing.test_models import Server, serving

KEY = b"a very secret key"
DOCUMENT = {"type": "approval.asked", "data": {"arguments": "{}", "context": [{"role": "user", "text": "Grüße"}]}}
SOON = timedelta(minutes=5)


@asynccontextmanager
async def hooks(pauses: tuple[float, ...] = (0.0, 0.0)) -> AsyncIterator[HttpWebhooks]:
    each = HttpWebhooks(pauses=pauses)
    yield each
    await each.close()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "lockgate.webhooks")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "lockgate.webhooks"]


async def told(each: HttpWebhooks) -> None:
    """Returns when nothing is under way any more."""
    while each._tasks:
        await asyncio.wait(each._tasks)
        await asyncio.sleep(0)


def to(server: Server, path: str = "/hooks/T0P-SECRET") -> Webhook:
    return Webhook(url=server.url.partition("/v1/")[0] + path, key=KEY)


async def test_what_is_posted_is_signed_as_the_specification_says(
    said: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving({}) as server, hooks() as each:
        each.post(to(server), "019aa", DOCUMENT, until=now() + SOON)
        await told(each)
    [received] = server.received
    assert (received.path, received.body) == ("/hooks/T0P-SECRET", DOCUMENT)
    headers = received.headers
    content = b".".join((b"019aa", headers["webhook-timestamp"].encode(), dumps(DOCUMENT)))
    expected = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert (headers["webhook-id"], headers["webhook-signature"]) == ("019aa", f"v1,{expected}")
    assert abs(int(headers["webhook-timestamp"]) - now().timestamp()) < 60
    assert headers["content-type"] == "application/json"
    assert said() == []
    assert "T0P-SECRET" not in caplog.text, "the library's own lines"


def test_the_signature_of_the_specifications_own_example() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', datetime.fromtimestamp(1614265330, UTC)
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_what_was_not_taken_is_tried_again(said: Callable[[], list[str]]) -> None:
    async with serving((500, {}, b""), b"", (204, {}, b"")) as server, hooks() as each:
        each.post(to(server), "019aa", DOCUMENT, until=now() + SOON)
        await told(each)
    assert [received.headers["webhook-id"] for received in server.received] == ["019aa"] * 3
    assert said() == []


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([(500, {}, b"T0P-SECRET")] * 3, "it answered with status 500"),
        ([b""] * 3, "RemoteProtocolError"),
        ([(302, {"location": "/elsewhere"}, b"")] * 3, "it answered with status 302"),
    ],
)
async def test_it_is_tried_a_few_times_and_told_without_secrets(
    said: Callable[[], list[str]], answers: list[Any], why: str
) -> None:
    async with serving(*answers) as server, hooks() as each:
        each.post(to(server), "019aa", DOCUMENT, until=now() + SOON)
        await told(each)
    assert len(server.received) == 3
    assert said() == [f"the webhook at 127.0.0.1 was not told of 019aa: {why}"]


async def test_who_does_not_answer_is_given_up(said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "ATTEMPT_SECONDS", 0.05)
    async with serving(None) as server, hooks(()) as each:
        each.post(to(server), "019aa", DOCUMENT, until=now() + SOON)
        await told(each)
    [message] = said()
    assert "no answer within 0.05 s" in message or "Timeout" in message


async def test_nothing_is_tried_again_after_the_deadline(said: Callable[[], list[str]]) -> None:
    async with serving((500, {}, b"")) as server, hooks((1.0,)) as each:
        each.post(to(server), "019aa", DOCUMENT, until=now())
        await told(each)
    assert len(server.received) == 1
    assert len(said()) == 1


async def test_where_too_much_is_under_way_it_is_said(
    said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "UNDER_WAY", 1)
    async with serving(None) as server, hooks() as each:
        each.post(to(server), "1", DOCUMENT, until=now() + SOON)
        each.post(to(server), "2", DOCUMENT, until=now() + SOON)
        await server.asked.wait()
    assert said() == ["the webhook at 127.0.0.1 is not told of 2: too much is under way to it already"]


def test_a_key_is_in_no_repr() -> None:
    assert "secret" not in repr(Webhook(url="https://hooks.example.com/", key=KEY))
