"""A policy set's text, one rule changed, put in, moved or taken out: comments and the other rules stay as they are."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from lockgate.errors import ConfigError
from lockgate.policies.checking import document_of


def put(text: str, at: int, rule: Mapping[str, Any]) -> str:
    """With this rule at this place, counted from 0; one more than there are puts it at the end."""

    def change(rules: Any) -> None:
        if at == len(rules):
            rules.append(dict(rule))
        else:
            _check(rules, at)
            old = rules[at]
            for name in [name for name in old if name not in rule]:
                del old[name]
            for name, value in rule.items():
                if old.get(name) != value:
                    old[name] = value

    return _changed(text, change)


def insert(text: str, at: int, rule: Mapping[str, Any]) -> str:
    """With one rule more, before the one at this place."""

    def change(rules: Any) -> None:
        rules.insert(min(at, len(rules)), dict(rule))

    return _changed(text, change)


def remove(text: str, at: int) -> str:
    def change(rules: Any) -> None:
        _check(rules, at)
        del rules[at]

    return _changed(text, change)


def move(text: str, at: int, to: int) -> str:
    def change(rules: Any) -> None:
        _check(rules, at)
        _check(rules, to)
        rules.insert(to, rules.pop(at))

    return _changed(text, change)


def _check(rules: Any, at: int) -> None:
    if not 0 <= at < len(rules):
        raise ConfigError(f"there is no rule {at + 1}: there are {len(rules)}")


def _changed(text: str, change: Any) -> str:
    from ruamel.yaml import YAML

    if text.strip():
        document_of(text)  # raises
    yaml = YAML()
    yaml.width = 1_000
    if (first := re.search(r"^rules:[^\n]*\n(?:\s*(?:#[^\n]*)?\n)*( +)- ", text, re.MULTILINE)) is not None:
        offset = len(first[1])  # as the text has its lists
        yaml.indent(mapping=2, sequence=offset + 2, offset=offset)  # pyright: ignore[reportUnknownMemberType]
    document: Any = yaml.load(text) if text.strip() else {}  # pyright: ignore[reportUnknownMemberType]
    if document.get("rules") is None:
        document["rules"] = []
    if not isinstance(document["rules"], list):
        raise ConfigError("'rules' is a list")
    change(document["rules"])
    out = io.StringIO()
    yaml.dump(document, out)  # pyright: ignore[reportUnknownMemberType]
    return out.getvalue()
