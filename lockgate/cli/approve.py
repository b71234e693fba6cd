"""`lockgate approve`: what waits for a person, shown and decided, whichever proxy holds it."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lockgate.cli.reading import ConfigFile, Json, console, print_line
from lockgate.config import load_config
from lockgate.errors import Error

if TYPE_CHECKING:
    from lockgate.records import Approval
    from lockgate.storage.approvals import ApprovalDesk

type ApprovalId = Annotated[str, Parameter(help="An id, its beginning, or its end as `list` shows it.")]
type By = Annotated[str, Parameter(help="Who decides, for the record; by default, the user of this machine.")]
type Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help="Do not ask once more.")]
type Note = Annotated[str, Parameter(help="Why, for the record.")]
type ShowNote = Annotated[
    bool, Parameter(negative=(), help="Let the agent read the note; else only the record has it.")
]
type Digest = Annotated[
    str, Parameter(help="The digest of the call that was shown, or its beginning: for programs that show it.")
]

DIGEST_DIGITS = 8
"""So many of a digest tell one call from another."""

app = App(name="approve", help="Decide about tool calls that wait for a person.")


@app.default
def approve(
    id: ApprovalId,
    /,
    *,
    note: Note = "",
    by: By = "",
    yes: Yes = False,
    digest: Digest = "",
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Approve a call: it is shown first, and exactly what was shown goes on, once."""
    approval = _found(config, id, digest)
    if not json_:
        _print(approval)
    if not yes:
        _ask("Approve this call? [y/N] ")
    decided = _desk(
        config,
        lambda desk: desk.decide(approval.id, "approved", digest=approval.digest, by=_name(by), note=note),
    )
    _print_decided(decided, json_=json_)


@app.command(name="list")
def list_(
    *,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Also those that wait no more, the newest.")
    ] = False,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the calls that wait, the oldest first."""

    async def asked(desk: ApprovalDesk) -> list[Approval]:
        return [*(reversed(await desk.decided()) if all_ else ()), *await desk.pending()]

    found = _desk(config, asked)
    if json_:
        from lockgate.policies.asking import approval_json

        print(json.dumps([approval_json(one) for one in found], indent=2))
        return
    from lockgate.cli.approvals import table

    console().print(table(found))
    if not found:
        print("Nothing waits.")


@app.command
def show(id: ApprovalId, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """Show a call with what was said before it, the rule that holds it, and why."""
    approval = _found(config, id)
    if json_:
        from lockgate.policies.asking import approval_json

        print(json.dumps(approval_json(approval), indent=2))
        return
    _print(approval)


@app.command
def deny(
    id: ApprovalId,
    /,
    *,
    note: Note = "",
    show_note: ShowNote = False,
    by: By = "",
    digest: Digest = "",
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Deny a call: the agent is told that a person did not approve it."""
    approval = _found(config, id, digest)
    decided = _desk(
        config,
        lambda desk: desk.decide(
            approval.id, "denied", digest=approval.digest, by=_name(by), note=note, note_shown=show_note
        ),
    )
    _print_decided(decided, json_=json_)


@app.command
def edit(
    id: ApprovalId,
    /,
    *,
    arguments: Annotated[str, Parameter(help="The arguments that go on, as JSON; else $VISUAL or $EDITOR opens.")] = "",
    note: Note = "",
    by: By = "",
    digest: Digest = "",
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Approve a call with other arguments: what you write goes on in the place of what was asked.

    A text that is concealed is shown by a mark; where you leave the mark, the text goes on.
    """
    from lockgate.cli.approvals import editable
    from lockgate.policies.asking import edit_of

    approval = _found(config, id, digest)
    text = edit_of(approval, arguments or _in_editor(editable(approval), json=not approval.custom))
    decided = _desk(
        config,
        lambda desk: desk.decide(
            approval.id, "edited", digest=approval.digest, by=_name(by), note=note, arguments=text
        ),
    )
    _print_decided(decided, json_=json_)


@app.command
def watch(*, json_: Json = False, config: ConfigFile = None) -> None:
    """Print the calls that wait, and each new one as it comes, until it is stopped."""
    from lockgate.cli.approvals import line
    from lockgate.policies.asking import approval_json
    from lockgate.storage.signals import APPROVALS, Signals

    url, seen = load_config(config).database, set[str]()

    async def watching(desk: ApprovalDesk) -> None:
        async def look() -> None:
            for one in await desk.pending():
                if one.id not in seen:
                    seen.add(one.id)
                    print(json.dumps(approval_json(one)) if json_ else line(one), flush=True)

        signals = Signals(url)
        signals.start()
        signals.watch(APPROVALS, look)
        try:
            await asyncio.Event().wait()
        finally:
            await signals.close()

    _desk(config, watching)


def _desk[T](config: Path | None, work: Callable[[ApprovalDesk], Awaitable[T]]) -> T:
    from lockgate.cli.noting import book_of
    from lockgate.storage.approvals import ApprovalDesk

    settings = load_config(config)

    async def done() -> T:
        async with ApprovalDesk(settings.database, book_of(settings)) as desk:
            return await work(desk)

    return asyncio.run(done())


def _found(config: Path | None, id: str, digest: str = "") -> Approval:
    """Raises Error where there is none, or where it is about another call than the digest."""
    found = _desk(config, lambda desk: desk.find(id))
    if found is None:
        raise Error(f"no approval has the id {id!r}: `lockgate approve list` shows those that wait")
    if digest and (len(digest) < DIGEST_DIGITS or not found.digest.startswith(digest.lower())):
        raise Error(f"the call of {found.id} is not the one with the digest {digest!r}: look at it again")
    return found


def _print(approval: Approval) -> None:
    from lockgate.cli.approvals import lines

    screen = console()
    for each in lines(approval):
        print_line(screen, each) if isinstance(each, str) else screen.print(each, soft_wrap=True)


def _print_decided(approval: Approval, *, json_: bool) -> None:
    from lockgate.cli.approvals import decided
    from lockgate.policies.asking import approval_json

    print(json.dumps(approval_json(approval), indent=2) if json_ else decided(approval))


def _name(by: str) -> str:
    return by or getpass.getuser()


def _ask(question: str) -> None:
    """Raises Error unless the answer is yes."""
    if not sys.stdin.isatty():
        raise Error("nobody is there to be asked: say --yes, and the call is approved as it is")
    if input(question).strip().lower() not in ("y", "yes"):
        raise Error("nothing was decided")


def _in_editor(text: str, *, json: bool) -> str:
    """What a person made of the text. Raises Error where they left it as it was."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise Error("no editor is named: set EDITOR, or give the --arguments")
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        file = Path(folder, "arguments.json" if json else "input.txt")
        file.write_text(text, "utf-8")
        if (code := subprocess.run([*shlex.split(editor), str(file)], check=False).returncode) != 0:
            raise Error(f"the editor ended with {code}: nothing was decided")
        after = file.read_text("utf-8")
    if after == text:
        raise Error("nothing was changed, and nothing decided: `lockgate approve ID` approves a call as it is")
    return after
