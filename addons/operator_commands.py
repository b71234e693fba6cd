"""mitmproxy's own commands `lockgate.*`, which do what the command line does, by the name of this machine's user.

What needs the database runs in a task beside the traffic; its result is told in mitmproxy's log, which mitmweb and the
terminal show. SQLAlchemy is imported when the first of them runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mitmproxy import command, exceptions, flow
from mitmproxy.log import ALERT
from mitmproxy.types import Choice

from lockgate.access.audit import LOCAL, Audit
from lockgate.addons import operating
from lockgate.addons.view import EXCHANGE, SHORT_ID
from lockgate.config import Config
from lockgate.errors import Error, told
from lockgate.policies.notice import harmless
from lockgate.policies.readable import readable
from lockgate.policies.registry import Registry
from lockgate.policies.versions import Versions
from lockgate.records import Approval, Decision, Kill, KillScope, now

if TYPE_CHECKING:
    from lockgate.storage.answers import ExchangeDetail
    from lockgate.storage.approvals import ApprovalDesk
    from lockgate.storage.kills import Kills

log = logging.getLogger(__name__)

SCOPES: tuple[KillScope, ...] = ("all", "session", "agent", "model", "host", "project", "token")
MOST_TASKS = 16
"""So many commands may be under way."""
MOST_SHOWN = 1_000
"""So many approvals are remembered to have been shown."""
MOST_LINES = 200
CALL_CHARACTERS = 120
"""So much of a call stands in a list."""
WHOLE_CHARACTERS = 20_000
"""A longer call is not shown here, and so not approved here."""
REASON_CHARACTERS = 1_000
CLOSE_SECONDS = 5.0

_argument: Any = command.argument
type RollBack = Callable[[str], tuple[str, str]]


class OperatorCommands:
    """The addon that has them. Close it before the log."""

    name = "lockgate-commands"

    def __init__(
        self,
        config: Config,
        registry: Registry,
        reload: Callable[[str], None],
        decisions_of: Callable[[flow.Flow], Sequence[Decision] | None],
        audit: Audit,
        roll_back: RollBack | None = None,
    ) -> None:
        """`decisions_of` gives those of an exchange that is under way; None for one that is over, or was none."""
        self._config, self._registry, self._reload = config, registry, reload
        self._decisions_of, self._audit, self._roll_back = decisions_of, audit, roll_back
        self._tasks: set[asyncio.Task[None]] = set()
        self._shown: OrderedDict[str, str] = OrderedDict()
        """The digests of calls that were shown whole, by the ids of their approvals."""

    async def close(self) -> None:
        """What is under way comes to its end, if that is soon."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)

    # Policies

    @command.command("lockgate.policy")
    def policy(self) -> Sequence[str]:
        """Show the policy set in force: its version and its rules."""
        current = self._registry.current
        count = "1 rule" if len(current.rules) == 1 else f"{len(current.rules):,} rules"
        rules = [f"{rule.name}: {rule.use} ({rule.mode})" for rule in current.rules]
        return [f"version {current.version}, {count}", *map(harmless, rules)]

    @command.command("lockgate.policy.reload")
    def policy_reload(self) -> None:
        """Put the rules that the files hold now in force."""
        before = self._registry.current
        self._reload(self._who)
        if self._registry.current is before:
            _say(f"policy set {before.version} stays in force")

    @command.command("lockgate.policy.versions")
    def policy_versions(self) -> Sequence[str]:
        """List the versions of the policy set that were in force, the newest first."""
        try:
            changes = Versions(self._config.home).changes()
        except OSError as error:
            raise exceptions.CommandError(f"the versions cannot be read: {error.strerror}") from error
        return list(dict.fromkeys(change.version for change in reversed(changes)))

    @command.command("lockgate.policy.rollback")
    @_argument("version", type=Choice("lockgate.policy.versions"))
    def policy_rollback(self, version: str) -> None:
        """Put the rules of an earlier version back into the configuration file, and in force."""
        if self._roll_back is None:
            raise exceptions.CommandError("no configuration file is known here")
        try:
            before, found = self._roll_back(version)
        except (Error, OSError) as error:
            raise exceptions.CommandError(str(error) if isinstance(error, Error) else told(error)) from error
        self._audit.note(
            who=self._who, where=LOCAL, act="policy.rollback", subject="policy set", outcome="success",
            before={"version": before}, after={"version": found},
        )  # fmt: skip
        self._reload(self._who)
        _say(f"the rules in the configuration file are those of version {found} again")

    # Approvals

    @command.command("lockgate.approvals")
    def approvals(self) -> None:
        """List the calls that wait for a person, the oldest first."""
        self._begin(self._list())

    @command.command("lockgate.approve")
    def approve(self, id: str, *note: str) -> None:
        """Show a call that waits; given once more, approve exactly what was shown. The end of its id is enough."""
        self._begin(self._decide(id, "approved", " ".join(note)))

    @command.command("lockgate.deny")
    def deny(self, id: str, *note: str) -> None:
        """Deny a call that waits; the note is for the record only. The end of its id is enough."""
        self._begin(self._decide(id, "denied", " ".join(note)))

    # Stopping

    @command.command("lockgate.kill.scopes")
    def kill_scopes(self) -> Sequence[str]:
        """List what lockgate.kill can stop."""
        return list(SCOPES)

    @command.command("lockgate.kill")
    @_argument("scope", type=Choice("lockgate.kill.scopes"))
    def kill(self, scope: str, target: str, *reason: str) -> None:
        """Stop what is named, at once, on every proxy of the database; the target of `all` is *."""
        why = " ".join(reason).strip()
        if scope not in SCOPES or (scope == "all") != (target.strip() in ("", "*")):
            raise exceptions.CommandError("name what to stop: a scope and its target, or all and *")
        if len(why) > REASON_CHARACTERS:
            raise exceptions.CommandError(f"a reason has at most {REASON_CHARACTERS:,} characters")
        aim = "" if scope == "all" else target.strip()
        wanted = Kill(scope=scope, target=aim, set_by=operating.user(), reason=why)
        self._begin(self._stop(wanted))

    @command.command("lockgate.lift")
    def lift(self, id: str) -> None:
        """Let go on what was stopped; the end of the id is enough."""
        self._begin(self._lift(id))

    # Exchanges

    @command.command("lockgate.show")
    def show(self, flow: flow.Flow) -> None:
        """Tell what the rules decided about a flow's exchange."""
        if (under_way := self._decisions_of(flow)) is not None:
            _say("under way", *_decided(under_way))
        elif isinstance(id := flow.metadata.get(EXCHANGE), str):
            self._begin(self._tell(id))
        else:
            raise exceptions.CommandError("this flow is no conversation with a model that Lockgate saw")

    @property
    def _who(self) -> str:
        return f"mitmproxy:{operating.user()}"

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._tasks) >= MOST_TASKS:
            work.close()
            raise exceptions.CommandError("other commands are still under way: try again")
        task = asyncio.get_running_loop().create_task(_heard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _at_desk(self, work: Callable[[ApprovalDesk], Awaitable[Sequence[str]]]) -> None:
        """On a thread with a loop of its own: a database that is away must not hold up the traffic."""

        async def done() -> Sequence[str]:
            from lockgate.storage.approvals import ApprovalDesk

            async with ApprovalDesk(self._config.database, operating.book_of(self._config, self._who)) as desk:
                return await work(desk)

        _say(*await asyncio.to_thread(lambda: asyncio.run(done())))

    async def _list(self) -> None:
        async def listed(desk: ApprovalDesk) -> Sequence[str]:
            return [*map(_line, await desk.pending(limit=MOST_LINES))] or ["nothing waits for a person"]

        await self._at_desk(listed)

    async def _decide(self, id: str, decision: Literal["approved", "denied"], note: str) -> None:
        async def decide(desk: ApprovalDesk) -> Sequence[str]:
            found = await desk.find(id)
            if found is None:
                raise Error(f"no approval has the id {id!r}: lockgate.approvals lists those that wait")
            if decision == "approved" and found.state == "pending" and not self._was_shown(found):
                return self._whole(found)
            done = await desk.decide(found.id, decision, digest=found.digest, by=operating.user(), note=note)
            return [f"{done.id} is {done.state}, by {done.decided_by}"]

        await self._at_desk(decide)

    def _was_shown(self, approval: Approval) -> bool:
        return self._shown.get(approval.id) == approval.digest

    def _whole(self, approval: Approval) -> Sequence[str]:
        """The call, whole: nothing else may be approved."""
        short = approval.id[-SHORT_ID:]
        if len(approval.arguments) > WHOLE_CHARACTERS:
            raise Error(f"the call of {short} is too long to be shown here: `lockgate approve {short}` shows it")
        parts = readable(approval.tool, approval.arguments, custom=approval.custom)
        self._shown[approval.id] = approval.digest
        while len(self._shown) > MOST_SHOWN:
            self._shown.popitem(last=False)
        why = [f"  why: {harmless(approval.reason)}"] if approval.reason else []
        lines = [f"  {part.name}: {part.text}".replace("\n", "\n    ") for part in parts]
        return [_line(approval), *why, *lines, f"the same command again approves it: lockgate.approve {short}"]

    async def _stop(self, wanted: Kill) -> None:
        done = await asyncio.to_thread(self._act, lambda kills: kills.stop(wanted))
        _say(f"stopped: {done.what}; lockgate.lift {done.id[-SHORT_ID:]} lets it go on")

    async def _lift(self, id: str) -> None:
        done = await asyncio.to_thread(self._act, lambda kills: kills.lift(id, operating.user()))
        _say(f"lifted: {done.what}")

    def _act(self, act: Callable[[Kills], Kill]) -> Kill:
        from lockgate.storage.kills import Kills

        with Kills(self._config.database, operating.book_of(self._config, self._who)) as kills:
            return act(kills)

    async def _tell(self, id: str) -> None:
        async def asked() -> ExchangeDetail | None:
            from lockgate.storage.queries import Queries

            async with Queries(self._config.database) as queries:
                return await queries.exchange(id)

        detail = await asyncio.to_thread(lambda: asyncio.run(asked()))
        if detail is None:
            raise Error(f"exchange {id[-SHORT_ID:]} is not in the log, or not yet")
        _say(f"exchange {id[-SHORT_ID:]}: {detail.exchange.outcome}", *_decided(detail.decisions))


async def _heard(work: Coroutine[Any, Any, None]) -> None:
    """Whatever goes wrong is told, to whoever gave the command."""
    try:
        await work
    except Exception as error:
        _say(f"not done: {told(error)}")


def _say(*lines: str) -> None:
    """In mitmproxy's log, and where it has one in its status line."""
    shown = [*lines[:MOST_LINES], *([f"… {len(lines) - MOST_LINES:,} more"] if len(lines) > MOST_LINES else [])]
    log.log(ALERT, "%s", "\n".join(map(harmless, shown)))


def _line(approval: Approval) -> str:
    parts = readable(approval.tool, approval.arguments, custom=approval.custom)
    call = " ".join(harmless(f"{approval.tool}: {parts[0].text if parts else ''}").split())
    cut = call if len(call) <= CALL_CHARACTERS else f"{call[:CALL_CHARACTERS]}…"
    left = max(0, int((approval.deadline - now()).total_seconds()))
    return f"{approval.id[-SHORT_ID:]}  {left} s left  {approval.rule}  {cut}"


def _decided(decisions: Sequence[Decision]) -> list[str]:
    """A line for each, without what was looked at."""
    if not decisions:
        return ["no rule decided anything"]
    return [
        " ".join(filter(None, (
            f"  {one.rule} ({one.mode}): {one.subject} {one.action}",
            "" if one.score is None else f"score {one.score:.2f}", f"- {one.reason}" if one.reason else "",
        )))
        for one in decisions
    ]  # fmt: skip
