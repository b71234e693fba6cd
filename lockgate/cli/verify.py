"""`lockgate log verify`: the log compared with its seals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lockgate.cli.reading import ConfigFile, Json
from lockgate.config import Config, load_config
from lockgate.units import moment

if TYPE_CHECKING:
    from lockgate.storage.findings import Report

SHOWN_FINDINGS = 20


def verify(
    *,
    since: Annotated[str | None, Parameter(help="Compare rows from this time on; all seals are checked.")] = None,
    head: Annotated[
        list[str] | None, Parameter(negative=(), help="A head that was printed before and has to be there still.")
    ] = None,
    public_key: Annotated[
        list[Path] | None, Parameter(negative=(), help="The public key of who signed; by default the one in `home`.")
    ] = None,
    signed: Annotated[bool, Parameter(negative=(), help="Fail where no known key stands behind a row.")] = False,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Tell whether anybody changed, removed or inserted anything. Ends with 1 where somebody did."""
    from lockgate.storage import verify as storage
    from lockgate.storage.seals import Head

    settings = load_config(config)
    wanted = storage.Wanted(
        since=moment(since) if since else None,
        keys=_keys(settings, public_key),
        heads=[Head.parse(one) for one in head or ()],
        signed=signed,
        signing=settings.seal.sign,
    )
    report = storage.verify(settings.database, wanted, _progress if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    report = replace(report, unchecked=(*_waiting(settings), *report.unchecked))
    if json_:
        print(json.dumps(asdict(report), indent=2))
    else:
        print("\n".join(_lines(report)))
    sys.exit(1 if report.found else 0)


def _keys(settings: Config, files: Sequence[Path] | None) -> list[bytes]:
    from lockgate.certs.signing import PUBLIC_KEY_FILE, read_public_key

    own = settings.home / PUBLIC_KEY_FILE
    return [read_public_key(file) for file in files or ([own] if own.exists() else [])]


def _waiting(settings: Config) -> Iterator[str]:
    from lockgate.storage.address import parse
    from lockgate.storage.log import spill_folder

    folder = spill_folder(settings.home / "spill", parse(settings.database))
    if size := sum(file.stat().st_size for file in folder.glob("*.spill")):
        yield f"{size:,} bytes of records wait in {folder}, and are not in the database yet"


def _progress(what: str, count: int) -> None:
    print(f"\r\x1b[K{what}: {count:,}", end="", file=sys.stderr, flush=True)


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings[:SHOWN_FINDINGS]:
        yield finding.sentence
    if report.found > SHOWN_FINDINGS:
        yield f"… and {report.found - SHOWN_FINDINGS:,} more"
    told = ", beside those" if report.found else ""
    counts = f"{_count(report.rows, 'row')} and {_count(report.messages, 'piece')} of conversations"
    retired = f"; retention removed {_count(report.retired, 'row')}" if report.retired else ""
    seals = f"{_count(report.seals, 'seal')} in {_count(report.chains, 'chain')}"
    yield f"{counts} are as they were written{told}: {seals}{retired}"
    for head in report.heads:
        yield f"head {head}"
    yield "not checked:"
    for sentence in report.unchecked:
        yield f"- {sentence}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
