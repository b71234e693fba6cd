"""`lockgate policy`: which policies there are, whether rules are right, and what they would do."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from lockgate.cli.reading import ConfigFile
from lockgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lockgate.config import RuleConfig
    from lockgate.policies.describe import Description
    from lockgate.policies.pack import Pack

app = App(name="policy", help="List and explain policies, check rules, and try them on a request.")

app.command("lockgate.cli.policy_new:new", help="Write a policy and its test.")
app.command("lockgate.cli.policy_sets:versions", help="List the policy sets that were in force.")
app.command("lockgate.cli.policy_sets:diff", help="Show what differs between two versions of the policy set.")
app.command("lockgate.cli.policy_sets:rollback", help="Put the rules of an earlier version back.")

type Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]


@app.command(name="list")
def list_(*, json_: Json = False) -> None:
    """List the policies that a rule can use, built-in ones and those of installed packages, and the sets that ship."""
    from lockgate.policies.pack import pack, pack_names
    from lockgate.policies.registry import discover

    policies = {name: _summary(name) for name in sorted(discover())}
    packs = {name: pack(name).summary for name in pack_names()}
    if json_:
        print(json.dumps(policies | packs, indent=2))
        return
    width = max(map(len, policies | packs))
    for title, found in (("policies", policies), ("policy sets", packs)):
        print(f"{title}:")
        for name, summary in found.items():
            print(f"  {name:<{width}}  {summary}")


@app.command
def show(name: str, /, *, json_: Json = False) -> None:
    """Explain one policy: what it does, its options, and an example. Print a policy set that ships, to begin one from.

    Parameters
    ----------
    name
        A policy's name, ./FILE.py:CLASS, or a policy set's name.
    json_
        Print JSON.
    """
    from lockgate.policies.describe import describe
    from lockgate.policies.pack import pack, pack_names
    from lockgate.policies.registry import load_policy

    if name in pack_names():
        _show_pack(pack(name), json_)
        return
    found = describe(name, load_policy(name))
    if json_:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        _print_description(found)


@app.command
def check(file: str, /) -> None:
    """Check a configuration file and its rules; print a sentence for each thing that is wrong, and exit with 1 then.

    Parameters
    ----------
    file
        The file, with the rules under `rules:`, or the name of a policy set that ships.
    """
    from lockgate.policies.checking import mistakes

    try:
        rules = _rules_in(file)
    except ConfigError as error:
        print(*error.sentences, sep="\n", file=sys.stderr)
        sys.exit(1)
    errors = mistakes(rules)
    for error in errors:
        print(f"{file}: {error}", file=sys.stderr)
    if errors:
        sys.exit(1)
    shadow = sum(rule.mode == "shadow" for rule in rules)
    counted = "1 rule is" if len(rules) == 1 else f"{len(rules)} rules are"
    print(f"{file}: {counted} right, {shadow} of them in shadow mode")


@app.command(name="try")
def try_(
    file: str,
    /,
    *,
    on: Path,
    reply: Path | None = None,
    format: Literal["anthropic", "openai-chat", "openai-responses"] | None = None,
    json_: Json = False,
) -> None:
    """Run a file's rules over a request, and over a reply: say what each would do, and what would go on.

    Parameters
    ----------
    file
        The file, with the rules under `rules:`, or the name of a policy set that ships.
    on
        The body of a request, as JSON.
    reply
        The body of its reply: JSON, or server-sent events.
    format
        The wire format of both; otherwise it is seen from the request.
    json_
        Print JSON.
    """
    import asyncio

    from lockgate.cli import trial
    from lockgate.policies.registry import load_rules

    policy_set = load_rules(_rules_in(file))
    body, replied = _read(on), None if reply is None else _read(reply)
    result = asyncio.run(trial.run(policy_set, body, replied, format))
    if json_:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        trial.print_result(result)


@app.command
def explain(
    command: str,
    /,
    *,
    threshold: Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))] = 0.5,
    workspace: str = "",
    json_: Json = False,
) -> None:
    """Say what is harmful in a shell command: which part of it a rule is about, and why.

    Parameters
    ----------
    command
        The command, as one word: quote it.
    threshold
        Blocks from this score on.
    workspace
        The absolute path of the project; without it, the folder that the command starts in counts as the project.
    json_
        Print JSON.
    """
    from lockgate.cli import explanation
    from lockgate.policies.dangerous_command import Options
    from lockgate.validation import validate

    options = validate(Options, {"threshold": threshold, "workspace": workspace}, "policy explain")
    result = explanation.explain(command, options)
    if json_:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        print("\n".join(explanation.lines(result)))


@app.command
def pin(
    request: str,
    /,
    *,
    format: Literal["anthropic", "openai-chat", "openai-responses"] | None = None,
    config: ConfigFile = None,
) -> None:
    """Print the definitions of a request's tools as pins, for the option `pins_file` of `tool_definitions`.

    Parameters
    ----------
    request
        The file with the body of a request, as JSON; or the id of an exchange in the log, whose request it is.
    format
        Its wire format; otherwise it is seen from the request.
    config
        The configuration file.
    """
    from lockgate.cli.reading import request_of
    from lockgate.cli.trial import format_of as seen_format
    from lockgate.policies.definition_pins import pins_text
    from lockgate.wire.whole import format_of

    body = request_of(request, config)
    print(pins_text(format_of(format or seen_format(body)).read_request(body)), end="")


@app.command(name="eval")
def eval_(
    dataset: Path,
    /,
    *,
    policy: str = "",
    use: str = "",
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    json_: Json = False,
) -> None:
    """Run a labelled data set through rules and print how well they tell harmful from harmless.

    Parameters
    ----------
    dataset
        JSON objects, a line each: `command`, `call`, `text`, `request` with `reply`, or `steps` of a flow (each a
        `command` or `call`, and its `result`); a `label` (harmful or harmless) and a `group`; beside a text
        that a model says, what the conversation `said` before; beside a text, the
        `secret` in it, if it is about one.
    policy
        A policy set that ships, or a file with the rules under `rules:`; by default coding-agent. Rules in shadow mode
        count where no rule is enforced.
    use
        Instead: the one policy that is tried, with its defaults.
    all_
        List every case that was judged wrongly.
    json_
        Print JSON.
    """
    import asyncio

    from lockgate.cli import evaluation
    from lockgate.policies.evaluate import figures, lines, read_cases
    from lockgate.policies.pack import MEASURED
    from lockgate.storage.readable import plain

    if policy and use:
        raise ConfigError("--policy names a policy set and --use one policy; give one of them")
    policy_set = evaluation.rules_for(None if use else _rules_in(policy or MEASURED), use)
    result = figures(asyncio.run(evaluation.evaluate(policy_set, read_cases(dataset))))
    text = json.dumps(result, indent=2, ensure_ascii=False) if json_ else "\n".join(lines(result, every=all_))
    print(plain(text))


def _summary(name: str) -> str:
    from lockgate.policies.describe import describe
    from lockgate.policies.registry import load_policy

    try:
        return describe(name, load_policy(name)).summary
    except ConfigError as error:
        return f"cannot be used: {error}"


def _print_description(found: Description) -> None:
    print(f"{found.name}: {found.summary}\n")
    if found.details:
        print(f"{found.details}\n")
    if found.options:
        print("Options:")
        for option in found.options:
            default = f", by default {option.default}" if option.default else ", has to be given"
            print(f"  {option.name} ({option.type}{default})\n      {option.description}")
    else:
        print("It takes no options.")
    if found.example:
        example = found.example.replace("\n", "\n    ")
        with_ = f"\n    {example}" if example != "{}" else " {}"
        own = found.name.rpartition(":")[2]  # of ./FILE.py:CLASS
        print(f"\nExample:\n- name: my-{own}\n  use: {found.name}\n  with:{with_}")


def _rules_in(name: str) -> Sequence[RuleConfig]:
    """The rules of a policy set that ships, or those that a configuration file sets in force. Raises ConfigError."""
    from lockgate.policies.pack import named_rules, policy_file

    is_file = policy_file(name) is not None or Path(name).is_file()
    return named_rules(str(Path(name).expanduser().absolute()) if is_file else name)


def _show_pack(shown: Pack, json_: bool) -> None:
    if json_:
        rules = [rule.model_dump(mode="json", by_alias=True, exclude_defaults=True) for rule in shown.rules]
        document = {"name": shown.name, "summary": shown.summary, "rules": rules}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(shown.text, end="")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
