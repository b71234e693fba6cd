"""The configuration as administrators may see it: every value, where it came from, and no secret. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from lockgate.config import Config, Loaded, RuleConfig
from lockgate.redaction import is_secret
from lockgate.storage.address import parse

HIDDEN = "***"
_USER = re.compile(r"(://)[^/@\s]+@")
_REFERENCES = ("_file", "_env", "file", "env")
"""Fields so named say where a secret is, and hold none."""


class Setting(BaseModel):
    """A value of the configuration."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str = Field(examples=["listen"])
    value: Any
    """Secrets are `***`; rules are their names."""
    origin: str = Field(examples=["environment"])
    """`default`, a file, `environment` or `flag`."""
    keys: dict[str, str] = Field(examples=[{"listen": "flag"}])
    """Where each key of the value came from, if it has keys."""


def settings_of(loaded: Loaded) -> list[Setting]:
    """In the order of the documentation."""
    config = loaded.config
    values: dict[str, Any] = config.model_dump(mode="json", by_alias=True, exclude={"rules"})
    values["database"] = parse(config.database).shown
    values["rules"] = None if config.rules is None else [_rule(rule) for rule in config.rules]
    return [_setting(loaded, name, values[name]) for name in Config.model_fields]


def _setting(loaded: Loaded, name: str, value: Any) -> Setting:
    inner = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    keys = {key: loaded.origin(f"{name}.{key}") for key in inner}
    return Setting(name=name, value=_shown(name, value), origin=loaded.origin(name), keys=keys)


def _rule(rule: RuleConfig) -> str:
    """Its options may hold what is for the policy alone, such as the address of a webhook."""
    return f"{rule.name} ({rule.use})" if rule.use else rule.name


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, str):
        hides = value and is_secret(name) and not name.endswith(_REFERENCES)
        return HIDDEN if hides else _USER.sub(rf"\1{HIDDEN}@", value)
    if isinstance(value, Mapping):
        return {key: _shown(key, each) for key, each in cast(Mapping[str, Any], value).items()}
    if isinstance(value, Sequence):
        return [_shown("", each) for each in cast(Sequence[Any], value)]
    return value
