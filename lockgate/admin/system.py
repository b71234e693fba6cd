"""`/api/system`: what this proxy is, how it is, and how it was configured. Only reads."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lockgate.admin.acts import ActRoute
from lockgate.admin.desk import Desk
from lockgate.admin.health import HealthReport, report
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import READS, Problem, answers
from lockgate.admin.settings import Setting, settings_of
from lockgate.admin.views import View
from lockgate.certs import ca
from lockgate.config import Config
from lockgate.errors import Error
from lockgate.storage.proxies import State
from lockgate.storage.writers import writers

router = APIRouter(prefix="/system", route_class=ActRoute, tags=["system"])

PACKAGES = ("lockgate", "mitmproxy", "sqlalchemy", "fastapi", "pydantic", "cryptography", "google-re2")
type Form = Literal["pem", "der", "p12"]
TYPES: Mapping[Form, str] = {
    "pem": "application/x-pem-file", "der": "application/x-x509-ca-cert", "p12": "application/x-pkcs12",
}  # fmt: skip


class Number(BaseModel):
    """What is so now: a queue, the spill, what is under way."""

    name: str = Field(examples=["lockgate_log_queue_rows"])
    help: str
    value: float


class AuthorityView(BaseModel):
    """The authority that clients are asked to trust."""

    subject: str
    hosts: list[str]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    certificate: str
    """Its file on the proxy's machine."""


class ProxyView(View):
    """One run of a proxy at this database."""

    id: str
    name: str = Field(examples=["gateway-1/4711"])
    """Its machine and its number there."""
    state: State
    """`ended` by its own word; `lost` where it was not seen for half a minute: it was killed, or cut off."""
    version: str
    listen: list[str] = Field(examples=[["regular 127.0.0.1:8080"]])
    """Its modes, and their addresses."""
    started_at: datetime
    seen_at: datetime
    """By the database's clock."""
    ended_at: datetime | None
    policy_set: str
    """The version in force."""
    open_exchanges: int
    held: int
    """Replies that wait for rules."""
    is_here: bool = False
    """Whether it is the proxy that answers."""


class WriterView(View):
    """One run of a proxy, or of a command, that wrote to this database: its chain of seals."""

    chain: int
    began: datetime | None
    wrote: datetime | None
    """About when it wrote last, by its own clock: one at rest writes nothing."""
    by: str = Field(examples=["gateway-1/4711"])
    """Its machine and its number there; empty where an earlier Lockgate did not say."""
    is_here: bool
    """Whether it is the proxy that answers."""
    batches: int
    signed: bool


class SystemReport(BaseModel):
    """All of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    health: HealthReport
    numbers: list[Number]
    proxies: list[ProxyView] | None
    """Those that serve or are lost, then those that ended within a day; null where the database cannot be asked."""
    writers: list[WriterView] | None
    """The newest; null where the database cannot be asked."""
    authority: AuthorityView | None
    """null where its certificate cannot be read."""
    settings: list[Setting]
    versions: dict[str, str]


@router.get("", name="system.show", summary="What this proxy is", responses=answers(*READS))
async def show(caller: ForViewers, desk: AtDesk) -> SystemReport:
    return SystemReport(
        health=report(desk),
        numbers=_numbers(desk),
        proxies=await _proxies(desk),
        writers=await _writers(desk),
        authority=await asyncio.to_thread(_authority, desk.loaded.config),
        settings=settings_of(desk.loaded),
        versions={name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
    )


@router.get(
    "/certificate", name="system.certificate", summary="The authority's certificate", response_class=Response,
    responses=answers(*READS, 404) | {200: {"content": {each: {} for each in TYPES.values()}}},
)  # fmt: skip
async def certificate(
    caller: ForViewers, desk: AtDesk, form: Annotated[Form, Query(description="p12 has no password.")] = "pem"
) -> Response:
    """Never its key."""
    authority = await asyncio.to_thread(_opened, desk.loaded.config)
    if authority is None:
        raise Problem(404, "there is no certificate that can be read: `lockgate cert show` says why")
    headers = {"content-disposition": f'attachment; filename="lockgate-ca.{form}"'}
    return Response(ca.export(authority, form), headers=headers, media_type=TYPES[form])


def _numbers(desk: Desk) -> list[Number]:
    """The gauges that are one number."""
    read = [(gauge, gauge.read()) for gauge in desk.metrics.gauges]
    return [
        Number(name=gauge.name, help=gauge.help, value=value) for gauge, value in read if not isinstance(value, Mapping)
    ]


async def _proxies(desk: Desk) -> list[ProxyView] | None:
    try:
        found = [ProxyView.model_validate(each) for each in await desk.log.proxies()]
    except Error:
        return None
    began = desk.health.started_at
    return [each.model_copy(update={"is_here": each.started_at == began}) for each in found]


async def _writers(desk: Desk) -> list[WriterView] | None:
    try:
        found = await desk.access.do(lambda access: access.do(writers))
    except Error:  # the page is for such times most of all
        return None
    return [WriterView.model_validate(each) for each in found]


def _opened(config: Config) -> ca.Authority | None:
    """As it stands; one that is not there is not made here, as no proxy would sign with it."""
    try:
        if not (config.ca / ca.KEY_FILE).exists():
            return None
        return ca.open_authority(config.ca, config.hosts)
    except (Error, OSError):
        return None


def _authority(config: Config) -> AuthorityView | None:
    if (found := _opened(config)) is None:
        return None
    return AuthorityView(
        subject=found.certificate.subject.rfc4514_string(),
        hosts=list(found.hosts),
        not_before=found.certificate.not_valid_before_utc,
        not_after=found.not_after,
        fingerprint=found.fingerprint,
        certificate=str(found.certificate_path),
    )
