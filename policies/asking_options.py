"""How a person is asked about a tool call: the options that `approval` and a step of `protocol` share."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from lockgate.config import Section
from lockgate.errors import ConfigError
from lockgate.policies.key import read_key
from lockgate.ports import Webhook

MARGIN_SECONDS = 30.0
"""What a rule may take besides the person's time: its monitors, and the database."""


class WebhookOptions(Section):
    """Where a new approval is told to another program, as in the Standard Webhooks specification."""

    url: str
    """Its whole URL, which JSON is posted to: https, or http on this machine."""
    key_env: str = ""
    """The environment variable that holds the key it is signed with; one that begins with `whsec_` is base64."""
    key_file: Path | None = None
    """Or the file that holds it."""

    @field_validator("url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        url = urlsplit(value)
        host = url.hostname or ""
        if not host or "@" in url.netloc or not (url.scheme == "https" or (url.scheme == "http" and _is_near(host))):
            raise ValueError("the webhook's url is https://HOST[:PORT]/PATH, or http:// with a loopback address")
        return value

    @model_validator(mode="after")
    def _has_one_key(self) -> WebhookOptions:
        if bool(self.key_env) == bool(self.key_file):
            raise ValueError("name the key that the webhook is signed with, by 'key_env' or by 'key_file'")
        return self


class Asking(Section):
    """How a person is asked."""

    deadline_seconds: float = Field(default=300.0, gt=0, le=86_400)
    """How long a person has. The rule's own `deadline_seconds` has to be 30 more, and is where it is left out."""
    default: Literal["deny", "approve"] = "deny"
    """What happens to a call that nobody decides about in time."""
    context_messages: int = Field(default=6, ge=0, le=100)
    """How many of the last texts of the conversation a person is shown."""
    context_chars: int = Field(default=2_000, gt=0, le=100_000)
    """No more than this of each of them."""
    max_argument_chars: int = Field(default=200_000, gt=0, le=5_000_000)
    """Nobody is asked about a longer call, as nobody would read it: the rule's `on_error` decides."""
    webhook: WebhookOptions | None = None
    """Another program that is told of each call that begins to wait."""
    denied_sentence: str = "A person was asked about this call and did not approve it."
    """What the client is told of a call that was denied; the person's note follows where they want it shown."""
    late_sentence: str = "A person was asked about this call, and nobody decided in time."
    """What the client is told when the deadline passes."""

    @property
    def needed_seconds(self) -> float:
        return self.deadline_seconds + MARGIN_SECONDS


def webhook_of(asking: Asking) -> Webhook | None:
    """With its key, which is read once. Raises ConfigError."""
    if (given := asking.webhook) is None:
        return None
    key = read_key(given.key_env, given.key_file)
    if not key:
        raise ConfigError("the webhook's key is empty")
    return Webhook(url=given.url, key=_key_bytes(key))


def _key_bytes(key: str) -> bytes:
    if not key.startswith("whsec_"):
        return key.encode()
    try:
        return base64.b64decode(key.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ConfigError("the webhook's key begins with whsec_, and what follows is no base64") from error


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
