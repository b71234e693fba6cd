"""The audit trail's entries: each administrative act and each refusal of access, bounded and without secrets. No I/O.

`Audit` is how an act is noted, wherever it comes from. Refusals are summed up first: see `lockgate.access.refusals`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol, cast

from pydantic import BaseModel

from lockgate.ports import CommLog
from lockgate.records import AuditEntry, AuditOutcome
from lockgate.redaction import without_tokens
from lockgate.wire.document import dumps, loads

__all__ = ["LOCAL", "Audit", "AuditEntry", "LogAudit", "NoAudit", "as_json", "difference", "entry_of", "state_of"]

LOCAL = "local"
"""Where the command line is."""
NAME_CHARACTERS = 300
"""Of who, where, act and subject; a project's name has 200."""
REASON_CHARACTERS = 1_000
STATE_BYTES = 4_000
"""Of before, and of after."""
_DEPTH = 8
_BOUNDS = ((500, 50), (60, 8))
"""So many characters of a text and so many parts of a list are kept; the second where the first is still too large."""
_SECRET = frozenset({"authorization", "cookie", "credential", "digest", "kept", "key", "password", "secret", "token"})
"""What is called so is never kept, whatever its value is."""
_NOT_KEPT = "(not kept)"


class Audit(Protocol):
    """Where acts are noted, at once and for good. Callers give no secrets; tokens in texts are made unreadable."""

    def note(
        self,
        *,
        who: str,
        where: str,
        act: str,
        subject: str,
        outcome: AuditOutcome,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> None: ...


class Sums(Protocol):
    """`lockgate.access.refusals.Refusals`."""

    def add(self, *, who: str, where: str, act: str, subject: str, outcome: AuditOutcome, reason: str = "") -> bool: ...


class LogAudit:
    """The audit trail of a proxy: entries go the way of all that is logged, without waiting.

    From any thread; what is denied is summed up, if there is something that does it, and comes from its event loop. So
    is what fails for somebody unknown, who could fill the trail else.
    """

    def __init__(self, log: CommLog, sums: Sums | None = None) -> None:
        self._log, self._sums = log, sums

    def note(self, **given: Any) -> None:
        if self._sums and (given["outcome"] == "denied" or (given["outcome"] == "error" and not given["who"])):
            self._sums.add(**{name: value for name, value in given.items() if name not in ("before", "after")})
        else:
            self._log.put((entry_of(**given),))


class NoAudit:
    """Where nobody keeps a trail."""

    def note(self, **given: Any) -> None:
        pass


def entry_of(
    *,
    who: str,
    where: str,
    act: str,
    subject: str,
    outcome: AuditOutcome,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """The entry, whatever it is given: what is too long is cut, and what is secret is left out."""
    names = (_cut(text, NAME_CHARACTERS) for text in (who, where, act, subject))
    who, where, act, subject = names
    return AuditEntry(
        who=who, where=where, act=act, subject=subject, outcome=outcome, reason=_cut(reason, REASON_CHARACTERS),
        before=_state(before), after=_state(after),
    )  # fmt: skip


def state_of(record: Any) -> dict[str, Any]:
    """A record's fields as an entry has them: those that say something."""
    values = dict(cast(Mapping[str, Any], record)) if isinstance(record, Mapping) else asdict(record)
    plain = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in plain.items() if value not in (None, "", [], {})}


def difference(before: Any, after: Any, names: Iterable[str] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of two records, what is not the same; and, to tell which it is, the fields of these names."""
    one, other = state_of(before), state_of(after)
    told = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} | set(names)
    pick = sorted(told)
    return {n: one[n] for n in pick if n in one}, {n: other[n] for n in pick if n in other}


def as_json(entry: AuditEntry) -> dict[str, Any]:
    """The entry as programs read it: `before` and `after` are documents, and null where there is nothing."""
    states = {name: loads(text) if (text := getattr(entry, name)) else None for name in ("before", "after")}
    return asdict(entry) | states | {"at": entry.at.isoformat(), "last_at": entry.last_at and entry.last_at.isoformat()}


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump(mode="json", exclude_defaults=True)
        case datetime():
            return value.isoformat()
        case tuple():
            return list(cast(Sequence[Any], value))
        case _:
            return value


def _state(given: Mapping[str, Any] | None) -> str:
    """JSON text of at most `STATE_BYTES`; "" for nothing."""
    if not given:
        return ""
    for characters, parts in _BOUNDS:
        text = dumps(_small(given, characters, parts, _DEPTH))
        if len(text) <= STATE_BYTES:
            return text.decode()
    return dumps({"…": f"{len(given)} values, too large to be kept"}).decode()


def _small(value: Any, characters: int, parts: int, depth: int) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _cut(value, characters)
        case _ if depth == 0:
            return "…"
        case Mapping():
            pairs = [(str(name), one) for name, one in cast(Mapping[Any, Any], value).items()]
            small = {
                _cut(name, characters): _NOT_KEPT
                if name.lower() in _SECRET
                else _small(one, characters, parts, depth - 1)
                for name, one in pairs[:parts]
            }
            return small | ({"…": f"{len(pairs) - parts} more"} if len(pairs) > parts else {})
        case list() | tuple():
            some = cast(Sequence[Any], value)
            small = [_small(one, characters, parts, depth - 1) for one in some[:parts]]
            return small + ([f"… {len(some) - parts} more"] if len(some) > parts else [])
        case _:
            return _cut(str(value), characters)


def _cut(text: str, characters: int) -> str:
    """Half a token is a secret too: it is cut after tokens were looked for. Any text that is kept can be encoded."""
    text = without_tokens(text[: characters + 64]).encode("utf-8", "replace").decode()
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
