"""`/api/policy-set`: the rules in force, their versions, and changes of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field, model_validator

from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.identity import AtDesk, ForAdmins, ForOperators, ForViewers
from lockgate.admin.problems import CHANGES, READS, Problem, answers
from lockgate.admin.proposing import Call, Wish, proposed
from lockgate.admin.rules import InForce, Rules, Source, Stale
from lockgate.config import RuleConfig
from lockgate.policies import editing, versions
from lockgate.sections import Section
from lockgate.storage.trail import AuditFilter

router = APIRouter(prefix="/policy-set", route_class=ActRoute, tags=["policies"])

LARGEST = 200_000
"""Characters of a policy set."""

type Yaml = Annotated[str, Field(max_length=LARGEST)]
type Rule = dict[str, Any]


class PolicySetView(BaseModel):
    """The rules in force. Their options, and the text, are for operators: they may hold what is not for everybody."""

    version: str
    written: str
    """The version that the files make: another one, until the proxy has read them. "" where they are wrong."""
    source: Source
    name: str
    text: str
    rules: list[Rule]
    obstacle: str
    """Why it cannot be changed here, and what to do."""


class VersionView(BaseModel):
    """That a version came into force."""

    version: str
    at: str
    rules: int
    who: str = ""
    """Who brought it in, where that was an administrative act."""
    in_force: bool


class VersionList(BaseModel):
    """The newest first."""

    items: list[VersionView]


class Difference(BaseModel):
    """A unified diff of two versions' rules; "" where nothing differs."""

    before: str
    after: str
    text: str


class Text(Section):
    """A policy set that somebody wrote."""

    yaml: Yaml


class Checked(BaseModel):
    """What the text holds, and each mistake in it as a sentence."""

    rules: list[Rule]
    mistakes: list[str]


class Edit(Section):
    """One change of a text: `rule` put at `at`, or in before it, the one at `at` moved to `to`, or taken out."""

    yaml: Yaml
    act: Literal["put", "insert", "move", "remove"]
    at: int = Field(ge=0, le=10_000)
    to: int = Field(default=0, ge=0, le=10_000)
    rule: Rule | None = None

    @model_validator(mode="after")
    def _has_rule(self) -> Self:
        if (self.act in ("put", "insert")) != (self.rule is not None):
            raise ValueError("a rule is given to be put or inserted")
        return self


class Written(BaseModel):
    """What the files say now; the proxy takes it up within seconds."""

    before: str
    version: str


class Proposal(BaseModel):
    """A rule, where it belongs, and what it does in a sentence."""

    rule: Rule
    at: int
    """Where it goes: in the place of the rule there, if `replaces`; else before it."""
    replaces: bool
    sentence: str


@router.get("", name="policy_set.show", summary="Show the policy set in force", responses=answers(*READS, 409))
async def show(caller: ForViewers, desk: AtDesk, response: Response) -> PolicySetView:
    """Its ETag is for the If-Match of a change."""
    found = await desk.rules.do(Rules.in_force)
    response.headers["etag"] = f'"{found.written}"'
    return view(found, whole=caller.administrator.may("operator"))


@router.put("", name="policy_set.update", summary="Write the policy set", responses=answers(*CHANGES, 412, 428))
async def update(
    given: Text,
    caller: ForAdmins,
    desk: AtDesk,
    request: Request,
    if_match: Annotated[str, Header(description="The ETag that was read.")] = "",
) -> Written:
    """The file that the configuration names is replaced whole. 409 where there is none, or it cannot be written."""
    if not if_match:
        raise Problem(428)
    version = if_match.removeprefix("W/").strip('"')
    act = act_of(request)
    try:
        before, after = await desk.rules.do(lambda rules: rules.write(given.yaml, version))
    except Stale as error:
        raise Problem(412, str(error)) from error
    act.subject, act.before, act.after = "policy set", {"version": before}, {"version": after}
    return Written(before=before, version=after)


@router.get("/versions", name="policy_set.versions", summary="List versions", responses=answers(*READS))
async def list_versions(caller: ForViewers, desk: AtDesk) -> VersionList:
    """What came into force, when, and who brought it in."""
    changes = await desk.rules.do(Rules.changes)
    async with desk.trail() as trail:
        entries = await trail.entries(limit=500, where=AuditFilter(text='"version"', outcome="success"))
    by = {_version_in(each.after): each.who for each in reversed(entries) if each.act.startswith("policy")}
    now = await desk.rules.do(lambda rules: rules.registry.current.version)
    return VersionList(items=[
        VersionView(version=each.version, at=each.at, rules=each.rules, who=by.get(each.version, ""),
                    in_force=number == 0 and each.version == now)
        for number, each in enumerate(changes[:500])
    ])  # fmt: skip


@router.get("/diff", name="policy_set.diff", summary="Compare two versions", responses=answers(*READS, 404, 409))
async def diff(
    caller: ForOperators,
    desk: AtDesk,
    before: Annotated[str, Query(min_length=1, max_length=64)],
    after: Annotated[str, Query(max_length=64, description="Empty for what the files say now.")] = "",
) -> Difference:
    texts = await desk.rules.do(lambda rules: (rules.text(before), rules.text(after)))
    return Difference(before=before, after=after, text=versions.diff(*texts, (before, after or "now")))


@router.get(
    "/versions/{version}", name="policy_set.version", summary="Show a version's rules", responses=answers(*READS, 404)
)
async def version(version: str, caller: ForOperators, desk: AtDesk) -> Text:
    return Text(yaml=await desk.rules.do(lambda rules: rules.text(version)))


@router.post(
    "/versions/{version}/rollback", name="policy_set.rollback", summary="Put a version back",
    responses=answers(*CHANGES),
)  # fmt: skip
async def rollback(version: str, caller: ForAdmins, desk: AtDesk, request: Request) -> Written:
    """Its rules are written where the configuration takes them from; the proxy takes them up within seconds."""
    before, after = await desk.rules.do(lambda rules: rules.roll_back(version))
    act = act_of(request)
    act.subject, act.before, act.after = "policy set", {"version": before}, {"version": after}
    return Written(before=before, version=after)


@router.post("/check", name="policy_set.check", summary="Check a text", responses=answers(*CHANGES))
async def check(given: Text, caller: ForOperators, desk: AtDesk, request: Request) -> Checked:
    """Nothing is changed."""
    act_of(request).is_question = True
    rules, wrong = await desk.rules.do(lambda rules: rules.check(given.yaml))
    return Checked(rules=[versions.plain(each) for each in rules], mistakes=wrong)


@router.post("/edit", name="policy_set.edit", summary="Change a text", responses=answers(*CHANGES))
async def edit(given: Edit, caller: ForOperators, desk: AtDesk, request: Request) -> Text:
    """The text with one rule changed; comments stay. Nothing is written."""
    act_of(request).is_question = True
    try:
        text = await desk.rules.do(lambda _: edited(given))
    except Exception as error:
        raise Problem(422, str(error)[:500]) from error
    if len(text) > LARGEST:
        raise Problem(422, f"a policy set has at most {LARGEST:,} characters")
    return Text(yaml=text)


@router.post("/propose", name="policy_set.propose", summary="Propose a rule", responses=answers(*CHANGES))
async def propose(given: Wish, caller: ForOperators, desk: AtDesk, request: Request) -> Proposal:
    """From a call: never again, or always allow. Nothing is changed: `edit` puts it into the text."""
    act_of(request).is_question = True
    found = await desk.rules.do(Rules.in_force)
    rule, at, replaces, sentence = proposed(given, [versions.plain(each) for each in found.rules])
    return Proposal(rule=rule, at=at, replaces=replaces, sentence=sentence)


def edited(given: Edit) -> str:
    """The text, changed so."""
    match given.act:
        case "put":
            return editing.put(given.yaml, given.at, given.rule or {})
        case "insert":
            return editing.insert(given.yaml, given.at, given.rule or {})
        case "move":
            return editing.move(given.yaml, given.at, given.to)
        case "remove":
            return editing.remove(given.yaml, given.at)


def view(found: InForce, *, whole: bool) -> PolicySetView:
    """As the API and the pages show it; not `whole` for those who do not read options."""
    return PolicySetView(
        version=found.version, written=found.written, source=found.source, name=found.name,
        text=found.text if whole else "", rules=[_rule(each, whole) for each in found.rules], obstacle=found.obstacle,
    )  # fmt: skip


def _rule(rule: RuleConfig, whole: bool) -> Rule:
    given = versions.plain(rule)
    return given if whole else {name: given[name] for name in ("name", "use", "match", "mode") if name in given}


def _version_in(after: str) -> str:
    from lockgate.wire.document import loads

    state: Any = loads(after.encode()) if after else {}
    return str(state.get("version", "")) if isinstance(state, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


__all__ = ["Call", "router"]
