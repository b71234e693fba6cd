"""`/api/policies`: the policies that a rule can use, in words and as schemas, and the policy sets that ship."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import READS, answers
from lockgate.config import RuleConfig
from lockgate.errors import ConfigError, Missing
from lockgate.policies.describe import describe
from lockgate.policies.pack import pack, pack_names
from lockgate.policies.registry import discover, load_policy

router = APIRouter(prefix="/policies", route_class=ActRoute, tags=["policies"])


class OptionView(BaseModel):
    """One key under `with:`; its name is a path."""

    name: str
    type: str
    default: str
    description: str


class PolicyView(BaseModel):
    """A policy in words, and the JSON schema of its options."""

    name: str = Field(examples=["tools"])
    summary: str
    details: str = ""
    options: list[OptionView] = []
    example: str = ""
    options_schema: dict[str, Any] = {}
    problem: str = ""
    """Why it cannot be used."""


class PackView(BaseModel):
    """A policy set that ships."""

    name: str
    summary: str
    text: str


class PolicyList(BaseModel):
    """All of them, and the schema of a rule."""

    items: list[PolicyView]
    packs: list[PackView]
    rule_schema: dict[str, Any]


@router.get("", name="policy.list", summary="List policies and policy sets", responses=answers(*READS))
async def every(caller: ForViewers, desk: AtDesk) -> PolicyList:
    return await desk.rules.do(lambda _: known_policies())


@router.get("/{name}", name="policy.show", summary="Explain a policy", responses=answers(*READS, 404))
async def show(name: str, caller: ForViewers, desk: AtDesk) -> PolicyView:
    found = (await desk.rules.do(lambda _: known_policies())).items
    for each in found:
        if each.name == name:
            return each
    raise Missing("no policy has this name")


@cache
def known_policies() -> PolicyList:
    """They do not change while this process runs. The first time takes a second: on a thread."""
    packs = [PackView(name=name, summary=pack(name).summary, text=pack(name).text) for name in pack_names()]
    items = [_view(name) for name in sorted(discover())]
    return PolicyList(items=items, packs=packs, rule_schema=_schema(RuleConfig))


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """One that holds itself is not a reference at its top."""
    schema = model.model_json_schema(mode="validation")
    inner: dict[str, Any] = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    return schema | inner


def _view(name: str) -> PolicyView:
    try:
        policy = load_policy(name)
    except ConfigError as error:
        return PolicyView(name=name, summary="", problem=str(error))
    words = describe(name, policy)
    options = [OptionView(**asdict(each)) for each in words.options]
    return PolicyView(
        name=name, summary=words.summary, details=words.details, options=options, example=words.example,
        options_schema=_schema(policy.Options),
    )  # fmt: skip
