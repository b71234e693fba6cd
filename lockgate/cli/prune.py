"""`lockgate db prune`: remove exchanges that are old or too many."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from lockgate.cli.reading import ConfigFile, Json
from lockgate.config import Retention, load_config
from lockgate.errors import Error
from lockgate.records import now
from lockgate.units import moment

if TYPE_CHECKING:
    from lockgate.storage.prune import Plan, Pruned, Pruner

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def prune(
    *,
    older_than: Annotated[
        str | None, Parameter(help="What began longer ago goes: 30d, or before a time: 2026-11-21.")
    ] = None,
    larger_than: Annotated[str | None, Parameter(help="The oldest go until the log is not larger: 10GB.")] = None,
    keep_label: Annotated[
        list[str] | None, Parameter(help="What has this label stays; * stands for any characters.", negative=())
    ] = None,
    archive: Annotated[Path | None, Parameter(help="First write what goes to files in this folder.")] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only tell what would go.")] = False,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Remove exchanges, the oldest first, and what only they held; proxies go on meanwhile.

    What is not given is as `retention` in the configuration says; by default, whatever has a label stays.
    """
    from lockgate.certs.signing import signer_of
    from lockgate.storage.address import parse
    from lockgate.storage.backup import opened
    from lockgate.storage.forecast import forecast
    from lockgate.storage.prune import Pruner
    from lockgate.storage.schema import require_current

    settings = load_config(config)
    plan = _plan(settings.retention, older_than, larger_than, keep_label, archive)
    address = parse(settings.database)
    require_current(address)
    signer = signer_of(settings)
    with opened(address) as engine:
        done = forecast(engine, plan) if dry_run else _pruned(Pruner(engine, plan, signer=signer))
    if json_:
        print(json.dumps(_document(done, dry_run), indent=2))
    else:
        print("\n".join(_told(done, plan, dry_run)))


def _plan(
    keep: Retention, older_than: str | None, larger_than: str | None, labels: list[str] | None, archive: Path | None
) -> Plan:
    from lockgate.storage.prune import Plan

    until, max_bytes = _bounds(keep, older_than, larger_than)
    return Plan(
        until=until,
        max_bytes=max_bytes,
        keep_labels=keep.keep_labels if labels is None else labels,
        archive=archive or keep.archive,
        audit_until=None if keep.audit_days is None else now() - timedelta(days=keep.audit_days),
    )


def _pruned(pruner: Pruner) -> Pruned:
    from lockgate.cli.noting import who

    try:
        done = pruner.run()
    except Error as error:
        pruner.note(who(), str(error))
        raise
    pruner.note(who())
    return done


def _bounds(keep: Retention, older_than: str | None, larger_than: str | None) -> tuple[datetime | None, int | None]:
    """Before when, and from which size on, exchanges go: as given, else as configured. Raises Error for neither."""
    if older_than is None and larger_than is None:
        older_than = None if keep.days is None else f"{keep.days * 86_400:.0f}s"
        max_bytes = keep.bytes
    else:
        max_bytes = None if larger_than is None else bytes_of(larger_than)
    if older_than is None and max_bytes is None and keep.audit_days is None:
        raise Error("nothing says what is to go: give --older-than or --larger-than, or configure `retention`")
    return moment(older_than) if older_than else None, max_bytes


def bytes_of(text: str) -> int:
    """A size: 500MB, 10GB, 2GiB or a number of bytes."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Error(f"{text!r} is no size: give 500MB, 10GB or 2GiB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()])


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(value) < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{count:,} bytes" if unit == "bytes" else f"{value:,.1f} {unit}"


def _told(done: Pruned, plan: Plan, dry_run: bool) -> Iterator[str]:
    about, verb = "about " if done.estimated else "", "would go" if dry_run else "went"
    span = (
        f", of {done.first.astimezone():%Y-%m-%d} to {done.last.astimezone():%Y-%m-%d}"
        if done.first and done.last
        else ""
    )
    yield f"{about}{done.exchanges:,} exchange{'' if done.exchanges == 1 else 's'} {verb}{span}"
    for name, rows in sorted(done.sizes.rows.items()):
        yield f"  {name:<18} {rows:>12,} rows  {size(done.sizes.bytes[name]):>12}"
    if done.audit:
        yield f"{done.audit:,} entr{'y' if done.audit == 1 else 'ies'} of the audit trail {verb}"
    for label, count in sorted(done.kept.items()):
        yield f"{count:,} kept by the label {label}"
    for path in done.archives:
        yield f"archived in {path}"
    has = "would have" if dry_run else "has"
    yield f"the log had {size(done.bytes_before)}, and {has} {about}{size(done.bytes_after)}"
    if done.reusable_bytes:
        yield (
            f"{size(done.reusable_bytes)} of the file are free for what comes next: it was made by a Lockgate whose"
            " files do not get smaller; `lockgate db backup` and `restore` make one whose do"
        )
    if not dry_run and plan.max_bytes is not None and done.bytes_after > plan.max_bytes:
        yield "nothing more may go: what is left is labelled, under way or only minutes old"


def _document(done: Pruned, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "exchanges": done.exchanges,
        "audit": done.audit,
        "first": done.first and done.first.isoformat(),
        "last": done.last and done.last.isoformat(),
        "rows": done.sizes.rows,
        "bytes": done.sizes.bytes,
        "kept": done.kept,
        "archives": [str(path) for path in done.archives],
        "bytes_before": done.bytes_before,
        "bytes_after": done.bytes_after,
        "estimated": done.estimated,
    }
