"""`flow_rules`: sequences of calls that are not to come about, over everything that a session did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from lockgate.config import Section, read_file
from lockgate.errors import ConfigError
from lockgate.events import Event, Request, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.asking import ask_person
from lockgate.policies.asking_options import Asking, webhook_of
from lockgate.policies.base import Blocked, Monitor
from lockgate.policies.flows.deeds import acts_of
from lockgate.policies.flows.language import Example, FlowRule, Measure
from lockgate.policies.flows.machine import FlowState, Match, Progress
from lockgate.policies.flows.sessions import Session, Traces, Unread, working
from lockgate.policies.flows.trace import Step
from lockgate.policies.option_types import Folder
from lockgate.ports import Webhook
from lockgate.validation import validate
from lockgate.wire.document import dumps

STANDARD = Path(__file__).with_name("flow_rules.yaml")
ADVICE = "If it is really meant, ask the person you work for."


class RuleFile(Section):
    """A file of flow rules."""

    rules: list[FlowRule] = Field(default_factory=list[FlowRule])
    """The flow rules."""


class Options(Section):
    """Which sequences are stopped."""

    rules: list[FlowRule] = Field(default_factory=list[FlowRule])
    """Flow rules of your own; see below."""
    file: Path | None = None
    """A YAML file with more of them under `rules:`."""
    standard: bool = True
    """Whether the rules that ship are in force: secrets read and then sent, downloads that are run, and so on."""
    leave_out: list[str] = Field(default_factory=list[str])
    """Names of rules that ship and are left out."""
    do: Measure | None = None
    """What is done instead of what each rule says."""
    approval: Asking = Asking()
    """How a person is asked, where `do` is `approve`."""
    workspace: Folder = ""
    """The absolute path of the project. Without it, the folder that a command starts in counts as the project."""


class Shared:
    """The rules, and what each session did."""

    def __init__(self, rules: Sequence[FlowRule], workspace: str, webhook: Webhook | None = None) -> None:
        self.rules, self.webhook = rules, webhook
        self._nothing = FlowState(progress=[Progress.begun(rule) for rule in rules])
        self.traces = Traces(self.state, workspace)

    def state(self) -> FlowState:
        """Of a session in which nothing has happened."""
        return self._nothing.fork()


class FlowRules(Monitor):
    """Stops the call that would complete a forbidden sequence, such as reading a secret and then sending something.

    A sequence is made of what calls do, as their parsed commands, arguments and paths tell: reading a secret, sending,
    pushing, downloading, running what was downloaded. The trace is read from the conversation and remembered beyond it,
    so that compaction forgets nothing; a session and those that begin from it share one. Calls of one reply count in
    order, a refused call did not happen, and a program that was written counts when it is run. A long history that is
    new here is read within bounds, the latest calls first; a call that could complete a sequence begun in what was left
    out counts as one that cannot be checked, and `on_error` decides.

    Example:
        leave_out: [clone-then-run]
        rules:
          - name: no-deploy-after-migration
            sentence: After a migration a person deploys.
            steps:
              - command: '^alembic upgrade'
              - command: '^(kubectl apply|helm upgrade)'
                within: 40
                unless: {command: '^alembic downgrade'}
            stops: [["alembic upgrade head", "kubectl apply -f k8s/"]]
            passes: [["alembic upgrade head", "alembic downgrade -1", "kubectl apply -f k8s/"]]
    """

    Options = Options
    per_tool = frozenset({"call", "request"})

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self._session: Session[FlowState] | None = None

    @classmethod
    def provision(cls, options: Options) -> Any:
        rules = _rules(options)
        names = [rule.name for rule in rules]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError(f"flow rule '{repeated}': the name is used twice; a rule's name is its own")
        if not rules:
            raise ConfigError("there is no flow rule; give 'rules' or a 'file', or leave 'standard' on")
        for rule in rules:
            _try(rule, options.workspace)
        return Shared(rules, options.workspace, webhook_of(options.approval))

    @classmethod
    def needed_seconds(cls, options: Options) -> float:
        """A person's time, where one may be asked."""
        asks = any((options.do or rule.do) == "approve" for rule in _rules(options))
        return options.approval.needed_seconds if asks else 0.0

    async def on_request(self, request: Request, x: Exchange) -> Request:
        session = self._session = await self.shared.traces.session(x)
        if news := session.take_news():
            self.score, self.reason = 0.0, news
        return request

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        """The score of the worst sequence that the call would complete. Raises Unreadable."""
        found = await self._matches(call, x)
        return (found[0].rule.score, reason(found[0])) if found else (0.0, "")

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        found = await self._matches(call, x)
        if not found:
            return (call,)
        self.score = found[0].rule.score
        by_measure = {self._measure(one.rule): one for one in reversed(found)}
        if match := by_measure.get("deny"):
            if match.unread:
                raise Unread(reason(match))
            raise Blocked(f"{match.rule.sentence} {ADVICE}", reason=reason(match), score=match.rule.score)
        if match := by_measure.get("approve"):
            self.reason = reason(match)
            return (await ask_person(self, self.options.approval, self.shared.webhook, call, x),)
        if match := by_measure.get("flag"):
            self.reason = reason(match)
        return (call,)

    def _measure(self, rule: FlowRule) -> Measure:
        return self.options.do or rule.do

    async def _matches(self, call: ToolCall, x: Exchange) -> Sequence[Match]:
        """The sequences that the call would complete, worst first; the call then counts as let go."""
        acts = self.shared.traces.acts(call)
        session = self._session or await self.shared.traces.session(x)
        self._session = session
        found = working(session, x).take(Step(call=call, acts=acts))
        self.shared.traces.let_go(session, call, acts, x)
        return sorted(found, key=lambda match: (match.unread, -match.rule.score))


def reason(match: Match) -> str:
    """For the log: the rule, and the call of each step."""
    return f"{match.rule.name}: {' -> '.join(match.path)}"


@cache
def standard_rules() -> Sequence[FlowRule]:
    """The rules that ship."""
    return validate(RuleFile, read_file(STANDARD), str(STANDARD)).rules


def _rules(options: Options) -> list[FlowRule]:
    standard = standard_rules() if options.standard else ()
    names = [rule.name for rule in standard]
    if unknown := next((name for name in options.leave_out if name not in names), None):
        raise ConfigError(f"option 'leave_out': no rule that ships is named '{unknown}'; there are: {', '.join(names)}")
    own = list(options.rules)
    if options.file is not None:
        own += validate(RuleFile, read_file(options.file.expanduser()), str(options.file)).rules
    return [*(rule for rule in standard if rule.name not in options.leave_out), *own]


def _try(rule: FlowRule, workspace: str) -> None:
    """Raises ConfigError for an example that does not come out as it says."""
    for number, flow in enumerate(rule.stops, 1):
        if not completes(rule, flow, workspace):
            raise ConfigError(
                f"flow rule '{rule.name}' does not stop its example {number} under 'stops', {_named(flow)}; correct the"
                " steps or the example"
            )
    for number, flow in enumerate(rule.passes, 1):
        if any(completes(rule, flow[: end + 1], workspace) for end in range(len(flow))):
            raise ConfigError(
                f"flow rule '{rule.name}' stops its example {number} under 'passes', {_named(flow)}; correct the steps"
                " or the example"
            )


def completes(rule: FlowRule, flow: Sequence[Example], workspace: str = "") -> bool:
    """Whether the last call of the flow would be stopped."""
    state = FlowState(progress=[Progress.begun(rule)])
    for at, each in enumerate(flow):
        call = _call(each, at)
        step = Step(call=call, acts=acts_of(call, workspace))
        if at == len(flow) - 1:
            return bool(state.take(step))
        state.take(Step(call=call, acts=step.acts, result=each.result), refused=each.refused)
    return False


def _call(example: Example, at: int) -> ToolCall:
    custom = isinstance(example.arguments, str)
    text = example.arguments if isinstance(example.arguments, str) else dumps(example.arguments).decode()
    return ToolCall(block=0, id=f"call {at + 1}", name=example.tool, arguments=text, custom=custom)


def _named(flow: Sequence[Example]) -> str:
    last = flow[-1].arguments
    told = last.get("command", flow[-1].tool) if isinstance(last, dict) else flow[-1].tool
    return f"which ends with {str(told)[:100]!r}"
