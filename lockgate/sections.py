"""The parts of a configuration, each a schema of its own: what an operator may say, and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

MEGABYTE = 2**20


def address(value: str) -> str:
    """HOST:PORT. Raises ValueError for anything else."""
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("an address is HOST:PORT, such as 127.0.0.1:8080")
    return value


class Section(BaseModel):
    """A part of the configuration: it takes the keys it names and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


class Host(Section):
    """A host whose traffic is decrypted, because models answer there."""

    format: Literal["anthropic", "openai", "google"]
    """The family of wire formats that its endpoints speak."""
    upstream: str | None = None
    """The URL that exchanges for this host are really sent to."""
    upstream_ca: Path | None = None
    """A PEM file with the authority that signed the upstream's certificate, where the system does not know it."""

    @field_validator("upstream")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("an upstream is a URL: https://HOST[:PORT][/PATH]")
        return value


class Branch(Section):
    """Rules for exchanges in which `when` holds, and no branch before it."""

    when: dict[str, Any] = Field(default_factory=dict)
    """Conditions as in `match`; without any, all that is left."""
    rules: list[RuleConfig] = Field(min_length=1)
    """The rules of this branch, in order."""


class RuleConfig(Section):
    """A policy with its name, configuration, match and mode; or further rules inside it."""

    name: str = Field(min_length=1)
    """Shown to whoever is refused, and in the log."""
    use: str = ""
    """The policy: built in, from an entry point, or ./file.py:Class."""
    rules: list[RuleConfig] = Field(default_factory=lambda: list[RuleConfig]())
    """Instead of `use`: a chain of rules that share this one's `match`, `mode`, `sample`, `on_error` and `refusal`.
    In the log they are named after it: `outer/inner`."""
    branches: list[Branch] = Field(default_factory=list[Branch])
    """Instead of `use`: branches, of which the first one whose `when` holds is taken."""
    match: dict[str, Any] = Field(default_factory=dict)
    """Which exchanges and tools the rule looks at; all, where nothing is said."""
    mode: Literal["enforce", "shadow"] = "enforce"
    """`shadow` runs on a copy: only its decisions are recorded."""
    on_error: Literal["block", "forward"] | None = None
    """What happens when the policy fails or its deadline passes; each policy has its default."""
    refusal: Literal["explain", "text", "reply", "error"] | None = None
    """The shape of a refusal; by default `explain` for tools that run a command, else `text`; `error` for requests."""
    deadline_seconds: float = Field(default=30.0, gt=0, le=3600)
    """How long the policy may think about one thing; then `on_error` decides."""
    sample: float = Field(default=1.0, ge=0, le=1)
    """The share of exchanges that the rule looks at: all exchanges of a session, or none."""
    options: dict[str, Any] = Field(default_factory=dict, alias="with")
    """The policy's own configuration."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> RuleConfig:
        if sum(map(bool, (self.use, self.rules, self.branches))) != 1:
            raise ValueError(f"rule '{self.name}' has either 'use', or 'rules', or 'branches'")
        if self.options and not self.use:
            raise ValueError(f"rule '{self.name}': 'with' belongs to a rule that has a policy to 'use'")
        return self


class Limits(Section):
    """Bounds, counted on bytes read."""

    request_bytes: int = Field(default=64 * MEGABYTE, gt=0)
    """A model request above this is refused."""
    reply_bytes: int = Field(default=64 * MEGABYTE, gt=0)
    """A model reply above this is cut."""
    stream_backlog_bytes: int = Field(default=MEGABYTE, gt=0)
    """A stream that holds more than this is not read from upstream until it shrinks."""
    keep_alive_seconds: float = Field(default=10.0, gt=0)
    """A client that waits longer for a held reply gets a keep-alive of its own protocol."""
    log_queue_rows: int = Field(default=10_000, gt=0)
    """New exchanges wait while the log has more than this in memory and still to write."""
    spill_bytes: int = Field(default=1024 * MEGABYTE, gt=0)
    """What the log cannot write, while its database is away, slow, locked or full, waits in files in `home` and is
    written when the database is back, also after a restart. With more than this in them, the log is full: see
    `log_full`. Exchanges that were let in are recorded all the same."""
    spill_free_bytes: int = Field(default=64 * MEGABYTE, ge=0)
    """With less than this free on the disk of those files, while they are needed, the log is full too."""


class Retention(Section):
    """How long exchanges are kept; without `days` and `bytes` for ever. Every proxy looks after it now and then, and so
    does `lockgate db prune`. The oldest go first, whole, with what only they held."""

    days: float | None = Field(default=None, gt=0)
    """Exchanges that began longer ago are removed."""
    bytes: int | None = Field(default=None, gt=0)
    """The oldest exchanges are removed while the log is larger than this: the rows of all its
    tables, without indexes."""
    keep_labels: list[str] = Field(default_factory=lambda: ["*"])
    """Exchanges with one of these labels, or in a session with one, stay; `*` stands for any characters."""
    audit_days: float | None = Field(default=None, gt=0)
    """Entries of the audit trail that are older are removed; nothing else removes one."""
    archive: Path | None = None
    """The folder for files with what is removed, which `lockgate db restore` takes back; by default there are none."""


class Log(Section):
    """What the log keeps besides what was said."""

    frames: Literal["none", "changed", "all"] = "none"
    """Keep the [frames](log.md#frames) of streamed replies, as they came and as they left, with their times: of no
    reply, of those that a rule changed, or of all."""
    frame_bytes: int = Field(default=MEGABYTE, gt=0)
    """So much is kept of a reply, of what came and of what left each; how much more there was is told."""


class Stop(Section):
    """What stops traffic besides `lockgate kill`."""

    file: Path | None = None
    """While this file exists, everything is stopped; by default `stop` in `home`."""


class Seal(Section):
    """How the log is made so that it shows what others changed in it."""

    sign: bool = False
    """Sign the seals of the log with a key of Lockgate's own, `seal.key` in `home`: who can write to the database, and
    does not have the key, cannot seal anew what they changed."""


class AccessLimits(Section):
    """How much at once, and how fast. What is left out is not limited."""

    requests_per_minute: int | None = Field(default=None, gt=0)
    """So many at once, and then one each time that its part of a minute has passed."""
    tokens_per_minute: int | None = Field(default=None, gt=0)
    """The same of tokens, those of requests and of replies."""
    concurrent: int | None = Field(default=None, gt=0)
    """Exchanges that run at the same time."""
    request_bytes: int | None = Field(default=None, gt=0)
    """Of one request."""
    reply_bytes: int | None = Field(default=None, gt=0)
    """Of one reply: a longer one is cut."""
    messages: int | None = Field(default=None, gt=0)
    """In one request."""


class SharedLimits(Section):
    """Limits that hold whoever asks, with a token or without, and where all limits are counted."""

    address: AccessLimits = AccessLimits()
    """Of each client address."""
    all: AccessLimits = AccessLimits()
    """Of all exchanges together: of this proxy, or, with `redis`, of all that share it."""
    redis: str = Field(default="", repr=False)
    """Count the limits of several proxies together, in a Redis: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or
    rediss:// for TLS. Without it, each proxy counts in its memory."""
    redis_env: str = ""
    """The environment variable with that address, so that its password stands in no file."""
    when_away: Literal["open", "closed"] = "open"
    """While Redis does not answer: `open`, each proxy counts by itself, as without Redis; `closed`, what is limited is
    refused, and may be asked again in a few seconds."""

    @field_serializer("redis")
    def _show(self, redis: str) -> str:
        """Whoever shows the configuration shows no password."""
        return without_credentials(redis) if redis else ""

    @model_validator(mode="after")
    def _is_one_redis(self) -> Self:
        if self.redis and self.redis_env:
            raise ValueError("'redis' and 'redis_env' are two addresses of a Redis: give one")
        return self


def without_credentials(url: str) -> str:
    """The address of a Redis, or another server, for people to read."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not (host or parts.scheme == "unix") or "@" in parts.path:
        return "an address that cannot be read"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{parts.path}"


class AccessConfig(Section):
    """Who may use the proxy, and where the secret is that tokens and provider keys stand on."""

    mode: Literal["passthrough", "token", "both"] | None = None
    """`token`: every client shows a token. `both`: one that shows a token is held to it, others pass with their own
    keys. `passthrough`: as `both`, and no provider key of Lockgate's is given to anyone. By default `passthrough`
    where `listen` is a loopback address, and `token` anywhere else."""
    key_env: str = ""
    """The environment variable with the secret: 32 bytes in base64, and on further lines those that it was before."""
    key_file: Path | None = None
    """The file with the secret, which only its owner may read; by default `access.key` in `home`, made on first use.
    Proxies that share a database share the secret."""
    policy_sets: Literal["add", "replace"] = "add"
    """What the [policy set](access.md#grants) of a project or token does: `add`, its rules hold after those for all;
    `replace`, instead of them."""
    limits: SharedLimits = SharedLimits()
    """[Limits](access.md#limits) besides those of projects and tokens."""


class Admin(Section):
    """The management API."""

    listen: str = ""
    """HOST:PORT of the [management API](admin.md), such as 127.0.0.1:8081; without it there is none. `lockgate run`
    has none in any case."""
    hosts: list[str] = Field(default_factory=list)
    """The names, with their port where it is not the usual one, that browsers and programs ask for it by; `localhost`
    and addresses need not be named."""
    secure_cookies: bool | None = None
    """Whether browsers send the cookie of a session over HTTPS only; by default so unless `listen` is a loopback
    address."""
    idle_minutes: float = Field(default=30, ge=2, le=10_080)
    """A session that nobody used for so long is over."""
    session_hours: float = Field(default=12, gt=0, le=720)
    """Every session is over after so long."""
    setup_minutes: float = Field(default=60, gt=0, le=1440)
    """How long the set-up link is good for."""
    request_bytes: int = Field(default=256 * 1024, gt=0)
    """A request above this is refused."""
    metrics: Literal["viewer", "open"] = "viewer"
    """Who may read `/health` and `/metrics`: administrators, or everyone who reaches the address."""

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return value and address(value)
