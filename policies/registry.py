"""Which policies there are, and which rules are in force."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError, told
from lockgate.exchange import Exchange
from lockgate.policies.base import Policy, Refusal
from lockgate.policies.composition import Shares, flattened
from lockgate.policies.match import Match, compile_match
from lockgate.policies.pack import DEFAULT, pack
from lockgate.validation import meaning, validate
from lockgate.wire.document import dumps

if TYPE_CHECKING:
    from lockgate.policies.further import Further

log = logging.getLogger(__name__)

BUILT_IN = {
    "noop": "lockgate.policies.noop:Noop",
    "replace": "lockgate.policies.replace:Replace",
    "tools": "lockgate.policies.tools:Tools",
    "judge": "lockgate.policies.judge:Judge",
    "untrusted_monitor": "lockgate.policies.untrusted_monitor:UntrustedMonitor",
    "protocol": "lockgate.policies.protocol:Protocol",
    "approval": "lockgate.policies.approval:AskPerson",
    "refuse": "lockgate.policies.refuse:Refuse",
    "history_integrity": "lockgate.policies.history_integrity:HistoryIntegrity",
    "dangerous_command": "lockgate.policies.dangerous_command:DangerousCommand",
    "protected_paths": "lockgate.policies.protected_paths:ProtectedPaths",
    "command_egress": "lockgate.policies.command_egress:CommandEgress",
    "rewrite_call": "lockgate.policies.rewrite_call:RewriteCall",
    "loop_breaker": "lockgate.policies.loop_breaker:LoopBreaker",
    "flow_rules": "lockgate.policies.flow_rules:FlowRules",
    "taint": "lockgate.policies.taint:Taint",
    "test_tampering": "lockgate.policies.test_tampering:TestTampering",
    "secret_guard": "lockgate.policies.secret_guard:SecretGuard",
    "reversible_redaction": "lockgate.policies.reversible_redaction:ReversibleRedaction",
    "injection_scan": "lockgate.policies.injection_scan:InjectionScan",
    "pii": "lockgate.policies.pii:Pii",
    "model_guard": "lockgate.policies.model_guard:ModelGuard",
    "context_guard": "lockgate.policies.context_guard:ContextGuard",
    "system_note": "lockgate.policies.system_note:SystemNote",
    "invisible_text": "lockgate.policies.invisible_text:InvisibleText",
    "link_exfiltration": "lockgate.policies.link_exfiltration:LinkExfiltration",
    "tool_strip": "lockgate.policies.tool_strip:ToolStrip",
    "claim_check": "lockgate.policies.claim_check:ClaimCheck",
    "tool_definitions": "lockgate.policies.tool_definitions:ToolDefinitions",
    "tool_schema": "lockgate.policies.tool_schema:ToolSchema",
}
ENTRY_POINTS = "lockgate.policies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A policy with its name, configuration, match and mode."""

    name: str
    use: str
    policy: type[Policy]
    options: Any
    shared: Any
    match: Match
    mode: Literal["enforce", "shadow"] = "enforce"
    on_error: Literal["block", "forward"] = "block"
    refusal: Refusal | None = None
    deadline_seconds: float = 30.0
    sample: float = 1.0
    shares: Shares = ()
    """The rules that it stands inside of, where these take part in a share of the exchanges only."""

    def looks_at(self, x: Exchange) -> bool:
        """Whether the rule takes part in this exchange. The sample is drawn from ids, so it can be repeated."""
        return self.match.exchange(x) and ((self.sample >= 1.0 and not self.shares) or self._drawn(x))

    def _drawn(self, x: Exchange) -> bool:
        """A session is in the sample with all its exchanges, or with none."""
        return all(_draw(name, x) < share for name, share in (*self.shares, (self.name, self.sample)))


def _draw(name: str, x: Exchange) -> float:
    """A number from 0 to below 1 that is the same for the same rule and session."""
    digest = hashlib.blake2b(f"{name}\0{x.session_id or x.id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """The ordered rules in force. `version` names their content: the same rules have the same version."""

    rules: tuple[Rule, ...]
    version: str
    files: tuple[Path, ...] = ()
    """The files that its policies were taken from."""
    further: Further | None = None
    """The sets that projects and tokens may name."""


class Registry:
    """Holds the policy set and swaps it whole: an exchange keeps the rules it began with."""

    def __init__(self, policy_set: PolicySet) -> None:
        self.current = policy_set
        self._joined: dict[tuple[str, ...], PolicySet | ConfigError] = {}
        self._lock = asyncio.Lock()

    def swap(self, policy_set: PolicySet) -> bool:
        """Whether anything is different now."""
        changed = _versions(policy_set) != _versions(self.current)
        if changed:
            self.current, self._joined = policy_set, {}
        return changed

    async def judging(self, names: Sequence[str]) -> PolicySet:
        """The policy set for all, with those that a project and its token name; "" names none. Raises ConfigError."""
        wanted = tuple(dict.fromkeys(filter(None, names)))
        if not wanted:
            return self.current
        async with self._lock:
            found = self._joined.get(wanted) or await self._join(wanted)
        if isinstance(found, ConfigError):
            raise found
        return found

    async def _join(self, names: tuple[str, ...]) -> PolicySet | ConfigError:
        """On a thread, as what a set needs may take a while to load; what does not fit is not tried again."""
        joined, further = self._joined, self.current.further
        try:
            found = await asyncio.to_thread(_further(further).join, names)
        except ConfigError as error:
            log.warning("the policy sets %s cannot be put in force: %s", ", ".join(names), error)
            found = error
        joined[names] = found
        return found


def _further(further: Further | None) -> Further:
    if further is None:
        raise ConfigError("this proxy knows no further policy sets")
    return further


def _versions(policy_set: PolicySet) -> tuple[str, Mapping[str, str]]:
    return policy_set.version, policy_set.further.versions if policy_set.further else {}


def discover() -> dict[str, str]:
    """Every policy that has a name, and where it is: "module:Class"."""
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**found, **BUILT_IN}


def load_policy(use: str) -> type[Policy]:
    """The class that a rule's `use` means. Raises ConfigError."""
    target = BUILT_IN.get(use) or discover().get(use, use)  # packages are looked through only where they have to be
    module_name, colon, class_name = target.rpartition(":")
    if not colon:
        known = sorted(discover())
        meant = meaning(use.replace("-", "_"), known)
        raise ConfigError(f"unknown policy '{use}'{meant}; there are: {', '.join(known)}, or ./FILE.py:CLASS")
    try:
        module = _load_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(f"policy '{use}' cannot be imported: {type(error).__name__}: {error}") from error
    policy = getattr(module, class_name, None)
    if not (isinstance(policy, type) and issubclass(policy, Policy)):
        raise ConfigError(f"policy '{use}': {module_name} has no class {class_name} that extends lockgate.Policy")
    return policy


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist")
    name = f"lockgate_policy_{_digest(str(path.resolve()).encode())}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_rules(
    configs: Sequence[RuleConfig] | None = None, *, version: str = "", further: Further | None = None
) -> PolicySet:
    """The policy set that these rules make; the one that ships, where none are given. Raises ConfigError."""
    given = pack(DEFAULT).rules if configs is None else configs
    leaves = flattened(given)
    names = [config.name for config, _ in leaves]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"rule '{repeated}': the name is used twice; a rule's name is its own")
    rules = tuple(make_rule(config, shares=shares) for config, shares in leaves)
    files = tuple(policy_files(given))
    return PolicySet(rules=rules, version=version or version_of(given), files=files, further=further)


def version_of(configs: Sequence[RuleConfig]) -> str:
    """What names these rules and the files of their own."""
    content = dumps([config.model_dump(mode="json", by_alias=True) for config in configs])
    return _digest(content + b"".join(file.read_bytes() for file in policy_files(configs)))


def policy_files(configs: Sequence[RuleConfig]) -> list[Path]:
    """The files of their own that rules take policies from, also for what they ask in turn."""
    used = [use for config, _ in flattened(configs) for use in (config.use, *_monitors_of(config.options))]
    named = (Path(use.rpartition(":")[0]) for use in used)
    return list(dict.fromkeys(path for path in named if path.suffix == ".py" and path.is_file()))


def _monitors_of(options: Mapping[str, Any]) -> Iterator[str]:
    """What stands under `use` in a rule's options."""
    monitors: Any = options.get("monitors")
    for one in cast(list[Any], monitors) if isinstance(monitors, list) else []:
        if isinstance(one, dict):
            yield str(cast(dict[str, Any], one).get("use", ""))


def make_rule(config: RuleConfig, kind: str = "rule", *, shares: Shares = ()) -> Rule:
    """The rule that a configuration means. Raises ConfigError whose sentence begins with its kind and name."""
    subject = f"{kind} '{config.name}'"
    try:
        policy = load_policy(config.use)
        options = validate(policy.Options, config.options, f"policy '{config.use}'")
        shared = policy.provision(options)
        deadline_seconds = _deadline(config, policy.needed_seconds(options), policy.usual_seconds(options))
    except Exception as error:
        sentences = error.sentences if isinstance(error, ConfigError) else (told(error),)
        raise ConfigError(*(f"{subject}: {each}" for each in sentences)) from error
    return Rule(
        name=config.name,
        use=config.use,
        policy=policy,
        options=options,
        shared=shared,
        match=compile_match(config.match, subject),
        mode=config.mode,
        on_error=config.on_error or policy.on_error,
        refusal=config.refusal or policy.refusal,
        deadline_seconds=deadline_seconds,
        sample=config.sample,
        shares=shares,
    )


def _deadline(config: RuleConfig, needed: float, usual: float) -> float:
    """The rule's own where it names one. Raises ConfigError where it would pass too early."""
    given = config.deadline_seconds
    if "deadline_seconds" not in config.model_fields_set:
        return max(given, usual)
    if given < needed:
        raise ConfigError(
            f"its 'deadline_seconds', {given:g}, would pass while a person may still decide: with these options it"
            f" takes up to {needed:g}; give it as much, or leave it out"
        )
    return given


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
