"""`lockgate policy versions`, `diff` and `rollback`: the policy sets that were in force."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lockgate.cli.reading import ConfigFile, Json
from lockgate.config import Loaded, load

if TYPE_CHECKING:
    from lockgate.policies.versions import Versions


def versions(*, config: ConfigFile = None, json_: Json = False) -> None:
    """List the policy sets that were in force, and since when; the last one is marked."""
    changes = _opened(config)[1].changes()
    if json_:
        print(json.dumps([asdict(change) for change in changes], indent=2))
        return
    for change in changes:
        mark = "*" if change is changes[-1] else " "
        print(f"{mark} {change.version}  {change.at}  {change.rules} rules")
    if not changes:
        print("no policy set was in force yet: one is kept when the proxy starts, and when its rules change")


def diff(before: str, after: str = "", /, *, config: ConfigFile = None) -> None:
    """Show what differs between two versions of the policy set.

    Parameters
    ----------
    before
        A version, or its beginning.
    after
        Another one; by default the rules that the configuration holds now.
    """
    from lockgate.policies import versions as kept
    from lockgate.policies.pack import rules_of

    loaded, known = _opened(config)
    first = known.find(before)
    second = known.find(after) if after else "now"
    text = known.text(second) if after else kept.rules_text(rules_of(loaded.config))
    print(kept.diff(known.text(first), text, (first, second)) or "nothing differs")


def rollback(version: str, /, *, config: ConfigFile = None) -> None:
    """Put the rules of an earlier version back into the configuration file; a running proxy takes them up.

    Parameters
    ----------
    version
        The version, or its beginning.
    """
    from lockgate.cli.noting import note
    from lockgate.policies.versions import roll_back

    loaded = load(config)
    before, found = roll_back(loaded, version)
    note(
        loaded.config, "policy.rollback", f"policy set in {loaded.file}",
        before={"version": before}, after={"version": found},
    )  # fmt: skip
    print(f"{loaded.file}: the rules are those of version {found} again")


def _opened(config: Any) -> tuple[Loaded, Versions]:
    from lockgate.policies.versions import Versions

    loaded = load(config)
    return loaded, Versions(loaded.config.home)
