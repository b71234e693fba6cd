"""`test_tampering`: edits that delete, skip, weaken or silence tests, and commits past their checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Self, cast

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.accesses import accesses
from lockgate.policies.arguments import strings_of
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.commands import command_of, document_of, folder_of
from lockgate.policies.option_types import doing
from lockgate.policies.patches import is_patch, parts_of, paths_in
from lockgate.policies.patterns import Re2, compile_pattern, encodable, finds
from lockgate.policies.shell.read import read

SKIPS = (
    r"@(?:pytest\.mark\.(?:skip|xfail)|unittest\.skip|Ignore\b|Disabled\b)|pytest\.(?:skip|xfail)\("
    r"|\bt\.Skip(?:Now|f)?\(|#\[ignore|"
    r"\b(?:it|test|describe|context|suite)\.(?:skip|todo)\b|\bx(?:it|test|describe)\(|\bskip_?[tT]est\("
    r"|\.only\(|raise SkipTest"
)
CHECKS = r"\bassert\w*\b|\bexpect\s*\(|\bshould\b|\brequire\.\w+\(|\bself\.assert\w+\(|\bt\.(?:Error|Fatal)f?\("
HOLLOW = (
    r"\bassert\s+(?:True|1)\b(?:\s*$|\s*#)"
    r"|expect\(true\)\.(?:toBe\(true\)|toBeTruthy)|assertTrue\(true\)|assert!\(true\)"
)

SILENCED = (
    r"(?i)\b(?:pytest|tox|unittest|jest|vitest|mocha|rspec|phpunit|ctest|mypy|pyright|eslint|tsc|ruff|clippy|"
    r"(?:npm|pnpm|yarn|bun)(?: run)? (?:test|lint|check)\S*|(?:go|cargo|mvn|dotnet|just) (?:test|check|lint))\b"
    r"[^\n|;&]{0,200}\|\|\s*(?:true|:|exit 0|echo)\b|"
    r"continue-on-error:\s*true|--exit-zero|--passWithNoTests|allow_failure:\s*true"
)
"""A check whose failure no longer matters."""
PIPELINES = (
    r"(?i)(?:^|/)(?:package\.json|makefile|justfile|tox\.ini|noxfile\.py|\.pre-commit-config\.ya?ml|"
    r"\.gitlab-ci\.yml|azure-pipelines\.yml)$|"
    r"(?:^|/)(?:\.github/workflows|\.circleci|\.husky|\.git/hooks|\.githooks)/"
)
"""Files that say which checks are run."""


class Options(Section):
    """What counts as a test, and what is stopped."""

    files: Re2 = (
        r"(?:^|/)(?:tests?|specs?|__tests__|e2e)/|(?:^|/)(?:test_|conftest)[^/]*\.py$|(?:[.]|_|-)(?:test|spec)s?[.]\w+$"
    )
    """RE2 pattern of the paths of tests."""
    deleting: bool = True
    """Stops the removal of whole test files."""
    skipping: bool = True
    """Stops edits that add a mark which skips a test, or one that leaves all others out."""
    weakening: bool = True
    """Stops edits that take more checks out than they put in, or put in one that always holds."""
    silencing: bool = True
    """Stops edits by which a check may fail unheard (`pytest || true`), and commits and pushes past their hooks."""
    spare: int = Field(default=0, ge=0, le=100)
    """So many checks an edit may take out without being stopped."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, "deleting", "skipping", "weakening", "silencing", off=(False,))


class TestTampering(Policy):
    """Stops edits that make tests pass by deleting, skipping or weakening them.

    It looks at edit tools with an old and a new text, at patches, and at commands that remove files or leave out the
    checks before a commit.

    Example:
        weakening: true
        spare: 1
    """

    __test__ = False
    """This is no test, whatever its name begins with."""
    Options = Options

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if reason := self._found(call):
            raise Blocked(_TOLD, reason=reason)
        return (call,)

    def _found(self, call: ToolCall) -> str:
        options: Options = self.options
        if options.deleting and (gone := _removed(call, options.files)):
            return f"it removes {gone}"
        if options.silencing and (past := _past_hooks(call)):
            return f"{past} goes past the checks"
        every = list(edits_of(call))
        for path, old, new in every if options.silencing else ():
            if finds(PIPELINES, path) and _silenced(new) > _silenced(old):
                return f"it has checks in {path} fail unheard"
        edits = [edit for edit in every if finds(options.files, edit[0])]
        path = ", ".join(dict.fromkeys(path for path, _, _ in edits))
        old, new = (
            "\n".join(edit[side] for edit in edits) for side in (1, 2)
        )  # what one takes out, another may put in
        if options.skipping and _count(SKIPS, new) > _count(SKIPS, old):
            return f"it skips tests in {path}"
        hollow = _count(HOLLOW, new) > _count(HOLLOW, old)
        if options.weakening and (hollow or _count(CHECKS, old) - _count(CHECKS, new) > options.spare):
            return f"it takes checks out of {path}"
        return ""


_TOLD = "This would delete, skip or weaken tests. Make the code right instead, or ask the person you work for."


_MADE = r"(?:^|/)(?:__pycache__|\.\w+_cache|\.cache|node_modules)(?:/|$)|\.py[co]$"
"""What runs of tests leave behind."""


def _count(pattern: str, text: str) -> int:
    return len(re.findall(pattern, text[:200_000], re.MULTILINE))


def _silenced(text: str) -> int:
    return len(compile_pattern(SILENCED).findall(encodable(text[:200_000])))


def _past_hooks(call: ToolCall) -> str:
    """The command that leaves out the checks before a commit or a push."""
    command = command_of(call)
    for one in read(command, folder_of(call)).commands if command is not None and "git" in command else ():
        if one.name == "git" and one.args[:1] in (("commit",), ("push",), ("merge",)):
            if "--no-verify" in one.args or (one.args[0] == "commit" and "-n" in one.args):
                return f"git {one.args[0]} --no-verify"
            if one.assignments.get("HUSKY") == "0" or "SKIP" in one.assignments:
                return f"git {one.args[0]}"
    return ""


def _removed(call: ToolCall, files: str) -> str:
    """A test file, or a folder of tests, that the call removes."""
    for access in accesses(call):
        path = str(access.place)
        if access.by not in ("rm", "unlink", "shred", "git rm") or finds(_MADE, path):
            continue
        if finds(files, path) or finds(files, f"{path}/"):
            return path
    deleted = (re.findall(r"\*\*\* Delete File: ([^\n\r\"\\]+)", text) for text in strings_of(document_of(call)))
    return next((path for paths in deleted for path in paths if finds(files, path)), "")


def edits_of(call: ToolCall) -> Iterator[tuple[str, str, str]]:
    """Each edit of the call: the path, what is taken out and what is put in."""
    document = document_of(call)
    path = str(next((document[key] for key in ("file_path", "path", "absolute_path") if key in document), ""))
    many: Any = document.get("edits")
    for edit in cast(list[Any], many) if isinstance(many, list) else [document]:
        if isinstance(edit, dict):
            known = cast(dict[str, Any], edit)
            old, new = known.get("old_string", known.get("old_str")), known.get("new_string", known.get("new_str"))
            if isinstance(old, str) and isinstance(new, str):
                yield path, old, new
    for text in strings_of(document):
        for part in parts_of(text) if is_patch(text) else ():
            lines = part.split("\n")
            old = "\n".join(line[1:] for line in lines if line.startswith("-") and not line.startswith("---"))
            new = "\n".join(line[1:] for line in lines if line.startswith("+") and not line.startswith("+++"))
            yield from ((changed, old, new) for changed in list(paths_in(part))[:1])
