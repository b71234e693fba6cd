"""Rules that somebody wrote as text, read and checked without any file: each mistake is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lockgate.config import Config, RuleConfig, resolved, yaml_problem
from lockgate.errors import ConfigError
from lockgate.policies.pack import policy_file, rules_of
from lockgate.policies.registry import discover, load_rules
from lockgate.validation import validate

OWN_KEYS = frozenset({"rules", "policy"})
"""What a policy set's file holds; a pack's name under `policy` begins from its rules."""


def mistakes(rules: Sequence[RuleConfig]) -> list[str]:
    """What is wrong with each rule by itself, and then with all of them together."""
    found: list[str] = []
    for part in (*([rule] for rule in rules), rules):
        try:
            load_rules(part)
        except ConfigError as error:
            found += error.sentences
    return list(dict.fromkeys(found))


def read_text(text: str, folder: Path, known: Sequence[str] = ()) -> Sequence[RuleConfig]:
    """The rules that a policy set's file with this text would have, in this folder. Raises ConfigError.

    Policies have to be ones that are installed, or `known`: a text that somebody sends names no other code to run.
    """
    document = document_of(text)
    if others := sorted(map(str, document.keys() - OWN_KEYS)):
        raise ConfigError(f"a policy set holds 'rules', and perhaps 'policy'; not {', '.join(others)}")
    if (name := document.get("policy")) and (not isinstance(name, str) or policy_file(name)):
        raise ConfigError("the policy set of a policy set is one that ships; `lockgate policy list` names them")
    rules = rules_of(validate(Config, resolved(document, folder), "the policy set"))
    allowed = {*discover(), *known}
    for use in uses(resolved(document, folder)):
        if use not in allowed:
            raise ConfigError(f"the policy '{use}' is not installed; a file of one's own is named in the configuration")
    return rules


def document_of(text: str) -> dict[str, Any]:
    """Raises ConfigError for what is no YAML mapping, and for aliases, by which a short text becomes a huge one."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent

    yaml = YAML(typ="safe", pure=True)
    try:
        events: Any = yaml.parse(text)  # pyright: ignore[reportUnknownMemberType]
        if any(isinstance(event, AliasEvent) for event in events):
            raise ConfigError("aliases (*name) are not taken here: write it out")
        document: Any = YAML(typ="safe", pure=True).load(text)  # pyright: ignore[reportUnknownMemberType]
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"this cannot be read as YAML: {yaml_problem(error)}") from error
    if not isinstance(document, dict):
        raise ConfigError("a policy set has the key 'rules:' at its top")
    return cast(dict[str, Any], document)


def uses(value: Any) -> Iterator[str]:
    """Every policy that rules name, also those that their policies ask in turn."""
    if isinstance(value, Mapping):
        for name, inner in cast(Mapping[Any, Any], value).items():
            if name == "use" and isinstance(inner, str):
                yield inner
            yield from uses(inner)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from uses(inner)
