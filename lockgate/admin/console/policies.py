"""The page Policies: the rules in force, their versions, and a text to change and try. `/api/policy-set` does it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from lockgate.admin import policy_set
from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.identity import AtDesk, ForOperators, ForViewers
from lockgate.admin.policies import known_policies
from lockgate.admin.rules import Rules
from lockgate.policies import versions as kept
from lockgate.policies.trial import FORMATS
from lockgate.records import now
from lockgate.storage.answers import RuleCount

router = APIRouter(route_class=ActRoute, include_in_schema=False)


@router.get("/policies", name="policies.page")
async def policies(
    request: Request, caller: ForViewers, desk: AtDesk, exchange: Annotated[str, Query(max_length=36)] = ""
) -> HTMLResponse:
    """`exchange` is one to try the rules on, for links from its page."""
    may = caller.administrator.may("operator")
    found = policy_set.view(await desk.rules.do(Rules.in_force), whole=may)
    listed = await policy_set.list_versions(caller, desk)
    return page(
        request, "policies.html", caller=caller, title="Policies", found=found, versions=listed.items[:50], may=may,
        rules=[_listed(each) for each in found.rules],
        may_write=caller.administrator.may("admin"), exchange=exchange, formats=FORMATS,
    )  # fmt: skip


@router.get("/policies/counts", name="policies.counts")
async def counts(request: Request, caller: ForViewers, desk: AtDesk) -> HTMLResponse:
    """What the rules did in the last day: those in shadow mode next to those that are enforced."""
    summary = await desk.log.summary(since=now() - timedelta(days=1))
    return page(request, "policies_counts.html", caller=caller, counts=_by_rule(summary.decisions))


@router.get("/policies/known", name="policies.known")
async def known(request: Request, caller: ForViewers, desk: AtDesk) -> HTMLResponse:
    """Every policy in words, and the policy sets that ship."""
    found = await desk.rules.do(lambda _: known_policies())
    return page(
        request,
        "policies_known.html",
        caller=caller,
        title="Policies that there are",
        policies=found.items,
        packs=found.packs,
    )


@router.get("/policies/diff", name="policies.diff")
async def diff(
    request: Request,
    caller: ForOperators,
    desk: AtDesk,
    before: Annotated[str, Query(min_length=1, max_length=64)],
    after: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:
    """Of two versions."""
    texts = await desk.rules.do(lambda rules: (rules.text(before), rules.text(after)))
    text = kept.diff(*texts, (before, after or "now"))
    return page(request, "policies_diff.html", caller=caller, lines=text.split("\n") if text else [])


def _listed(rule: dict[str, Any]) -> dict[str, Any]:
    kind = rule.get("use") or ("branches" if "branches" in rule else "rules")
    return {"name": rule["name"], "use": kind, "mode": rule.get("mode", "enforce"), "match": rule.get("match") or ""}


def _by_rule(counts: tuple[RuleCount, ...]) -> dict[str, dict[str, Any]]:
    """By the rule's name: what it did, enforced and in shadow mode."""
    found: dict[str, dict[str, Any]] = {}
    for each in counts:
        of = found.setdefault(each.rule, {"enforce": [], "shadow": []})
        of[each.mode].append((each.action, each.count))
    return found
