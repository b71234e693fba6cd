"""The policy set in force as files: read, kept versions of it, and written anew. Everything here waits for the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lockgate.config import Config, Loaded, RuleConfig, load
from lockgate.errors import ConfigError, Conflict, Error, Missing
from lockgate.policies import checking, versions
from lockgate.policies.checking import mistakes
from lockgate.policies.pack import own_rules, policy_file, rules_of
from lockgate.policies.registry import PolicySet, Registry, load_rules
from lockgate.policies.versions import Change, Versions

type Source = Literal["file", "pack", "configuration", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The policy set, and where its rules come from."""

    version: str
    """Of the rules that are in force in this proxy."""
    written: str
    """Of what the files say now; another one until the proxy has read them. "" where they are wrong."""
    source: Source
    name: str
    """The file, or the pack."""
    text: str
    """Of the file; else the rules as YAML."""
    rules: Sequence[RuleConfig]
    obstacle: str
    """Why the text cannot be written here, and what to do; "" where it can."""


class Stale(Error):
    """What was read is not what is there any more."""


class Rules:
    """Reads the configuration anew each time, as a running proxy does when its files change."""

    def __init__(self, loaded: Loaded, registry: Registry) -> None:
        self._loaded, self.registry = loaded, registry

    def in_force(self) -> InForce:
        config = self._config()
        source, name = self._source(config)
        file = Path(name) if source == "file" else None
        rules, problem = _rules(config)
        text = _text(file) if file else versions.rules_text(rules)
        return InForce(
            version=self.registry.current.version, written=_version(config), source=source, name=name, text=text,
            rules=rules, obstacle=problem or self._obstacle(source, name, config),
        )  # fmt: skip

    def read(self, text: str) -> Sequence[RuleConfig]:
        """The rules that a text holds. Raises ConfigError: see `lockgate.policies.checking.read_text`."""
        config = self._config()
        source, name = self._source(config)
        folder = Path(name).parent if source == "file" else self._folder()
        known = tuple(checking.uses([versions.plain(rule) for rule in _rules(config)[0]]))
        return checking.read_text(text, folder, known)

    def check(self, text: str) -> tuple[Sequence[RuleConfig], list[str]]:
        """The rules, and what is wrong with them."""
        try:
            rules = self.read(text)
        except ConfigError as error:
            return (), list(error.sentences)
        return rules, mistakes(rules)

    def write(self, text: str, version: str) -> tuple[str, str]:
        """Put the text in the place of the policy file's; gives the version before, and the new one.

        Raises Stale where `version` is not what the file says now, Conflict where it cannot be written here, and Error
        with each mistake.
        """
        config = self._config()
        source, name = self._source(config)
        if obstacle := self._obstacle(source, name, config):
            raise Conflict(obstacle)
        if (before := _version(config)) != version:
            raise Stale(f"the policy set is version {before} now: look at it again, then write it")
        rules, wrong = self.check(text)
        if wrong:
            raise Error("; ".join(wrong))
        self._keep(config)
        _replace(Path(name), text)
        return before, load_rules((*rules, *(config.rules or ()))).version

    def roll_back(self, name: str) -> tuple[str, str]:
        """Put the rules of an earlier version back; gives the version before, and this one. Raises as `write`."""
        config = self._config()
        known = self.versions()
        version = self.find(name)
        rules = known.rules(version)
        if load_rules(rules).version != version:
            raise Conflict(f"the rules of version {version} are read otherwise by this release; put them back by hand")
        source, place = self._source(config)
        file = Path(place) if source == "file" and not config.rules else self._loaded.file
        if file is None or not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
            raise Conflict("there is no file that can be written to put the rules into: name one with --config")
        before = self._keep(config)
        versions.set_rules(file, rules)
        return before, version

    def versions(self) -> Versions:
        return Versions(self._config().home)

    def changes(self) -> list[Change]:
        """The newest first."""
        return self.versions().changes()[::-1]

    def find(self, name: str) -> str:
        """Raises Missing."""
        try:
            return self.versions().find(name)
        except ConfigError as error:
            raise Missing(str(error)) from error

    def text(self, name: str) -> str:
        """The rules of a version as YAML; "" is what the files say now. Raises Missing."""
        if not name:
            return versions.rules_text(_rules(self._config())[0])
        known = self.versions()
        try:
            return known.text(self.find(name))
        except ConfigError as error:
            raise Missing(str(error)) from error

    def policy_set(self, text: str | None) -> PolicySet:
        """Of a text that is tried; else the one in force. Raises Error with each mistake."""
        if text is None:
            return self.registry.current
        rules, wrong = self.check(text)
        if wrong:
            raise Error("; ".join(wrong))
        return load_rules(rules)

    def _config(self) -> Config:
        file = self._loaded.file
        return self._loaded.config if file is None else load(file, self._loaded.flags).config

    def _folder(self) -> Path:
        return self._loaded.file.parent if self._loaded.file else self._loaded.config.home

    def _source(self, config: Config) -> tuple[Source, str]:
        if config.policy:
            file = policy_file(config.policy)
            return ("file", str(file)) if file else ("pack", config.policy)
        if config.rules is None:
            return "default", ""
        return "configuration", str(self._loaded.file or "")

    def _obstacle(self, source: Source, name: str, config: Config) -> str:
        if source != "file":
            what = {"pack": f"the pack '{name}'", "configuration": "rules of its own", "default": "no policy set"}[
                source
            ]
            return (
                f"the configuration names {what}: save this text as a file, say policy.yaml, beside the configuration, "
                "and name it there, `policy: ./policy.yaml`; from then on it is changed here"
            )
        if config.rules:
            return "the configuration has rules beside the policy set's file: move them into the file first"
        file = Path(name)
        if not file.is_file() or not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
            return f"{file} cannot be written by this proxy: let it, or change the file where it comes from"
        return ""

    def _keep(self, config: Config) -> str:
        """The version that is replaced, kept for a rollback."""
        try:
            rules = own_rules(config)
            policy_set = load_rules(rules)
            Versions(config.home).keep(policy_set, rules)
        except ConfigError:
            return ""
        return policy_set.version


def _rules(config: Config) -> tuple[Sequence[RuleConfig], str]:
    try:
        return rules_of(config), ""
    except ConfigError as error:
        return (), str(error)


def _version(config: Config) -> str:
    try:
        return load_rules(own_rules(config)).version
    except ConfigError:
        return ""


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Conflict(f"{file} cannot be read: {type(error).__name__}") from error


def _replace(file: Path, text: str) -> None:
    """A link stays one: what it leads to is replaced."""
    target = file.resolve()
    try:
        versions.write_file(target, text if text.endswith("\n") else text + "\n", target.stat().st_mode & 0o777)
    except (OSError, UnicodeEncodeError) as error:
        raise Conflict(f"{file} cannot be written: {type(error).__name__}") from error
