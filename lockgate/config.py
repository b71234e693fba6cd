"""What the operator decides: one YAML file, overridden by LOCKGATE_… variables, overridden by flags.

The only reader of the environment. Relative paths in a file are relative to the file.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from platformdirs import user_config_path, user_data_path
from pydantic import Field, field_validator, model_validator

from lockgate.errors import ConfigError
from lockgate.sections import (
    AccessConfig,
    AccessLimits,
    Admin,
    Branch,
    Host,
    Limits,
    Log,
    Retention,
    RuleConfig,
    Seal,
    Section,
    SharedLimits,
    Stop,
    address,
)
from lockgate.validation import validate

__all__ = [
    "BUILT_IN_HOSTS",
    "FILE_NAME",
    "AccessConfig",
    "AccessLimits",
    "Admin",
    "Branch",
    "Config",
    "Host",
    "Limits",
    "Loaded",
    "Log",
    "Retention",
    "RuleConfig",
    "Seal",
    "Section",
    "SharedLimits",
    "Stop",
    "data_folder",
    "find_file",
    "is_address",
    "is_loopback",
    "load",
    "load_config",
    "read_environment",
    "read_file",
    "secret_from_environment",
    "yaml_problem",
]

FILE_NAME = "lockgate.yaml"
BUILT_IN_HOSTS: Mapping[str, Host] = {
    "api.anthropic.com": Host(format="anthropic"),
    "api.openai.com": Host(format="openai"),
    "chatgpt.com": Host(format="openai"),
    "generativelanguage.googleapis.com": Host(format="google"),
}


class Config(Section):
    """Every value that Lockgate can be told."""

    listen: str = "127.0.0.1:8080"
    """The address and port of `lockgate serve`; `lockgate run` takes a free port of the loopback address."""
    home: Path = Field(default_factory=lambda: user_data_path("lockgate"))
    """The folder for what Lockgate makes: the database, the authority, the log file."""
    database: str = ""
    """sqlite:///FILE or postgresql://USER@HOST/NAME; by default lockgate.db in `home`."""
    ca: Path = Path()
    """The folder of the certificate authority; by default `ca` in `home`."""
    hosts: dict[str, Host] = Field(default_factory=dict)
    """Model hosts: the built-in ones and those added here."""
    egress: Literal["open"] | list[str] = "open"
    """Other hosts that clients may reach: `open`, or a list of names, `*.` in front for their subdomains."""
    policy: str = ""
    """The policy set: a [pack](policy-packs.md), `observe`, `coding-agent`, `strict` or `red-team`, or a file with
    `rules:` of its own; by default, where there are no `rules` either, one that stops nothing."""
    rules: list[RuleConfig] | None = None
    """Rules of your own, in order: the whole policy set, or, beside `policy`, what comes after it."""
    policy_sets: dict[str, Path] = Field(default_factory=dict)
    """Further policy sets, each a file with `rules:`, by the names that [grants](access.md#grants) give them to
    projects and tokens. Those that ship need not be named here."""
    unknown_endpoint: Literal["forward", "block"] = "forward"
    """What happens to a model host's endpoint that Lockgate cannot read."""
    log_full: Literal["wait", "refuse"] = "wait"
    """What happens to new exchanges while the log can take no more, so that nothing passes unrecorded: they wait until
    it can, or they are refused."""
    log: Log = Log()
    """What the [log](log.md) keeps besides what was said."""
    prices: Path | None = None
    """A YAML file of token prices that go before the built-in ones."""
    retention: Retention = Retention()
    """What is removed from the log, and when."""
    kill: Stop = Stop()
    """The [kill switch](stopping.md), which is always on."""
    seal: Seal = Seal()
    """The log's [seals](log.md#verify)."""
    access: AccessConfig = AccessConfig()
    """[Who may use the proxy](access.md)."""
    admin: Admin = Admin()
    """The [management API](admin.md)."""
    limits: Limits = Limits()
    """How much is taken, and held, and waited for."""

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return address(value)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or user_data_path("lockgate")).expanduser()
        hosts: dict[str, Any] = {**BUILT_IN_HOSTS, **(values.get("hosts") or {})}
        return {
            **values,
            "home": home,
            "database": values.get("database") or f"sqlite:///{home / 'lockgate.db'}",
            "ca": Path(values.get("ca") or home / "ca").expanduser(),
            "hosts": {name.lower().rstrip("."): host for name, host in hosts.items()},
        }

    @property
    def listen_host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def access_mode(self) -> Literal["passthrough", "token", "both"]:
        """What `access.mode` says, or what it is where it says nothing."""
        return self.access.mode or ("passthrough" if is_loopback(self.listen_host) else "token")

    @property
    def listen_port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def stop_file(self) -> Path:
        return self.kill.file or self.home / "stop"

    def host(self, name: str) -> Host | None:
        """The model host of this name, if it is one."""
        return self.hosts.get(name.lower().rstrip("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, and where each of its values came from."""

    config: Config
    file: Path | None
    origins: Mapping[str, str]
    """Of each value that was given, and of each key of one that has keys: `admin`, `admin.listen`."""
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the command line said, which holds also when the file is read again."""

    def origin(self, name: str) -> str:
        """`default`, a file, `environment` or `flag`."""
        return self.origins.get(name, "default")


def data_folder() -> Path:
    """Lockgate's own folder, where no configuration file names another."""
    return Path(str(read_environment().get("home") or user_data_path("lockgate"))).expanduser()


def load_config(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Config:
    """The configuration in force. Raises ConfigError with a sentence."""
    return load(path, flags).config


def load(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Loaded:
    """The configuration and the origin of each of its values. Raises ConfigError with a sentence."""
    file = find_file(path)
    sources: list[tuple[str, Mapping[str, Any]]] = [
        (str(file), read_file(file) if file else {}),
        ("environment", read_environment()),
        ("flag", {key: value for key, value in (flags or {}).items() if value is not None}),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, given in sources:
        for name, value in given.items():
            values[name] = _joined(values.get(name), value)
            keys = cast(dict[str, Any], value) if isinstance(value, dict) else {}
            origins |= dict.fromkeys([name, *(f"{name}.{key}" for key in keys)], origin)
    config = validate(Config, values, str(file or "configuration"))
    return Loaded(config=config, file=file, origins=origins, flags=flags or {})


def _joined(before: Any, value: Any) -> Any:
    """A section of several sources has the keys of all, and each as the last one gave it."""
    if isinstance(before, dict) and isinstance(value, dict):
        return cast(dict[str, Any], before) | cast(dict[str, Any], value)
    return value


def find_file(path: Path | None) -> Path | None:
    """The file that a flag or LOCKGATE_CONFIG names, else the one in the working folder, else the user's own."""
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"configuration file {path}: no such file; name an existing one with --config")
        return path
    named = os.environ.get("LOCKGATE_CONFIG")
    if named:
        return find_file(Path(named).expanduser())
    usual = (Path(FILE_NAME).absolute(), user_config_path("lockgate") / FILE_NAME)
    return next((file for file in usual if file.is_file()), None)


def read_file(file: Path) -> dict[str, Any]:
    """The document in a YAML file, its paths made absolute."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document: Any = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))  # pyright: ignore[reportUnknownMemberType]
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: cannot be read as YAML: {yaml_problem(error)}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: the top of the file has keys such as 'rules:'; this one is a {_kind(document)}")
    try:
        return resolved(cast(dict[str, Any], document), file.absolute().parent)
    except RecursionError as error:
        raise ConfigError(f"{file}: an alias (*name) stands inside what it names; write it out") from error


def yaml_problem(error: Exception) -> str:
    """What is wrong with a text that is no YAML, and where."""
    if isinstance(error, RecursionError):
        return "its brackets or indents are nested too deep"
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark:
        return f"{problem}, line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())[:500]


def read_environment() -> dict[str, Any]:
    """What LOCKGATE_… variables say; LOCKGATE_LIMITS__REQUEST_BYTES is `request_bytes` of `limits`."""
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict  # 0.1 s

    class Environment(BaseSettings):
        """Names and shapes only: the values are checked with the rest."""

        model_config = SettingsConfigDict(
            env_prefix="LOCKGATE_", env_nested_delimiter="__", env_ignore_empty=True, extra="ignore"
        )
        listen: str = ""
        policy: str = ""
        home: str = ""
        database: str = ""
        ca: str = ""
        prices: str = ""
        retention: dict[str, Any] = {}
        hosts: dict[str, Any] = {}
        egress: str | list[str] = ""
        unknown_endpoint: str = ""
        log_full: str = ""
        log: dict[str, Any] = {}
        kill: dict[str, Any] = {}
        seal: dict[str, Any] = {}
        access: dict[str, Any] = {}
        admin: dict[str, Any] = {}
        limits: dict[str, Any] = {}

    return EnvSettingsSource(Environment)()


def secret_from_environment(name: str) -> str:
    """The value of a variable that the configuration names, such as a key. Raises ConfigError where it is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {name} is not set; it holds a key that the configuration needs")
    return value


def resolved(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths become absolute ones, seen from the folder of the file that named them."""
    made = dict(document)
    for key in ("home", "ca", "prices"):
        if isinstance(value := document.get(key), str):
            made[key] = str(folder / Path(value).expanduser())
    policy = document.get("policy")
    if isinstance(policy, str) and ("/" in policy or policy.endswith((".yaml", ".yml"))):
        made["policy"] = str(folder / Path(policy).expanduser())
    database = document.get("database")
    if isinstance(database, str) and database.startswith("sqlite:///") and not database.startswith("sqlite:////"):
        made["database"] = f"sqlite:///{folder / database.removeprefix('sqlite:///')}"
    for name, key in (("retention", "archive"), ("kill", "file"), ("access", "key_file")):
        section = document.get(name)
        if isinstance(section, dict) and isinstance(given := cast(dict[str, Any], section).get(key), str):
            made[name] = section | {key: folder / Path(given).expanduser()}
    if isinstance(hosts := document.get("hosts"), dict):
        made["hosts"] = {name: _resolve_host(host, folder) for name, host in cast(dict[str, Any], hosts).items()}
    if isinstance(sets := document.get("policy_sets"), dict):
        named = cast(dict[str, Any], sets)
        made["policy_sets"] = {name: folder / Path(str(file)).expanduser() for name, file in named.items()}
    if isinstance(rules := document.get("rules"), list):
        made["rules"] = [_resolve_rule(rule, folder) for rule in cast(list[Any], rules)]
    return made


def _resolve_host(host: Any, folder: Path) -> Any:
    if isinstance(host, dict) and isinstance(file := (given := cast(dict[str, Any], host)).get("upstream_ca"), str):
        return {**given, "upstream_ca": folder / Path(file).expanduser()}
    return cast(Any, host)


def _resolve_rule(rule: Any, folder: Path) -> Any:
    """A file of a policy, options whose names end in `_file`, and files of rules are paths, also inside others."""
    if isinstance(rule, list):
        return [_resolve_rule(each, folder) for each in cast(list[Any], rule)]
    if not isinstance(rule, dict):
        return rule
    given = cast(dict[str, Any], rule)
    return {name: _resolve_value(name, value, folder) for name, value in given.items()}


def _resolve_value(name: Any, value: Any, folder: Path) -> Any:
    if isinstance(value, str) and name == "use" and ".py:" in value:
        file, _, class_name = value.rpartition(":")
        return f"{folder / Path(file).expanduser()}:{class_name}"
    if isinstance(value, str) and (str(name).endswith("_file") or (name == "file" and value.endswith(_WRITTEN))):
        return str(folder / Path(value).expanduser())
    if name == "rules" and isinstance(value, list):  # those in rules are no texts
        files = cast(list[Any], value)
        value = [str(folder / Path(each).expanduser()) if isinstance(each, str) else each for each in files]
    return _resolve_rule(value, folder) if name in _NESTING else value


_NESTING = frozenset({"with", "trusted", "monitors", "rules", "branches", "judge", "approval", "webhook"})
"""Where options and rules stand inside others; whatever else is named like a path may be a pattern."""


_WRITTEN = (".yaml", ".yml")


def _kind(value: object) -> str:
    return {"list": "list", "str": "text"}.get(type(value).__name__, type(value).__name__)


def is_address(name: str) -> bool:
    """Whether a host is named by its IP address."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback)
