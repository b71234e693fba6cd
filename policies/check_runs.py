"""What the tests, builds and checkers that an agent ran said, and what it edited: read from a conversation's history.

Whether a run failed is told by its summary, else by its exit code. What neither tells is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from lockgate.events import ToolCall
from lockgate.policies.accesses import accesses
from lockgate.policies.commands import Unreadable, command_of
from lockgate.policies.definitions import objects
from lockgate.policies.patterns import compile_pattern, encodable
from lockgate.policies.run_summaries import COMMANDS, FAILED, PASSED, Subject
from lockgate.policies.shell.read import read
from lockgate.wire.document import dumps

type Outcome = Literal["passed", "failed", "unknown"]

OUTPUT_CHARS = 200_000
"""So much of an output is looked at, from its end: summaries stand there."""
COMMAND_CHARS = 20_000
CALLS = 500
"""No more calls are looked at, from the last one back."""

_VIEWERS = frozenset({
    *("cat", "head", "tail", "grep", "egrep", "rg", "ag", "sed", "awk", "less", "more", "echo", "printf", "ls", "find"),
    *("git", "gh", "wc", "diff", "jq", "bat", "tee", "cd", "sort", "uniq", "which", "pip", "export", "set", "true"),
    *("sleep", "test", "["),
})  # fmt: skip
_EXIT = compile_pattern(
    r"(?:exit(?:ed)?(?: with)?[ _]?(?:code|status)|returned non-zero exit status|exitCode)\W{0,4}(\d+)", True
)
_STILL = compile_pattern(
    r"(?:process|command) (?:is )?(?:still )?running|running in (?:the )?background|session ID \d", True
)
_CLEARED = compile_pattern(
    r"^\W*(?:old )?tool (?:result|output|use)\w*(?: content)? (?:was |has been )?(?:cleared|removed|truncated)", True
)
_NO_CODE = compile_pattern("|".join((
    r"\.(?:md|mdx|rst|txt|log|out|adoc|csv|png|svg|xml|html|tmp)$|^/(?:tmp|var/tmp)/[^/]*$|^/dev/",
    r"(?:^|/)(?:docs?|\.git|node_modules|coverage|htmlcov|dist|build|target|\.cache|__pycache__)(?:/|$)",
    r"(?:^|/)(?:CHANGELOG|LICENSE|NOTES|TODO|COMMIT_EDITMSG)",
)), True)  # fmt: skip
"""Files that no test is about."""
_DELEGATES = frozenset(
    {"agent", "task", "spawn_agent", "wait_agent", "delegate", "subagent", "taskoutput", "send_message"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of checks: what it said of each subject, and the command, or the edit that `edits` names."""

    command: str = ""
    said: Mapping[Subject, tuple[Outcome, str]]
    """Of each subject the outcome, and the line that tells it."""
    edits: str = ""
    """The file that was changed."""
    opaque: bool = False
    """Whether others worked here, or the result is not shown: what was run then is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool answered."""

    text: str
    failed: bool = False
    """Whether the answer itself says so."""


def runs_in(document: Mapping[str, Any]) -> list[Run]:
    """What was run and edited, in order."""
    answers, calls = dict(_answers(document)), list(_calls(document))
    runs = [run for call in calls[-CALLS:] for run in _runs(call, answers.get(call.id))]
    return runs if len(calls) <= CALLS else [Run(said={}, opaque=True), *runs]


def asks_for_checks(call: ToolCall) -> bool:
    """Whether the call runs a check: what is said beside it may be about what comes of it."""
    return bool(subjects_of(_command(call)))


def _runs(call: ToolCall, answer: Answer | None) -> Iterator[Run]:
    if answer is None:
        return
    command = _command(call)
    subjects = subjects_of(command)
    if not answer.failed or command:
        yield from (Run(said={}, edits=path) for path in _edited(call, command))
    if _CLEARED.search(encodable(answer.text[:200])) or call.name.lower() in _DELEGATES:
        yield Run(said={}, opaque=True)
        return
    if subjects or (command and not _views(command)) or "output" in call.name.lower():
        said = outcomes(subjects, command, answer)
        yield from (Run(command=command, said=said),) if said else ()


def outcomes(subjects: Collection[Subject], command: str, answer: Answer) -> dict[Subject, tuple[Outcome, str]]:
    """What an output says of each subject that the command is about, or that it has a summary of."""
    text = encodable(answer.text[-OUTPUT_CHARS:])
    found: dict[Subject, tuple[Outcome, str]] = {}
    tables: Sequence[tuple[Outcome, Any]] = (("passed", PASSED), ("failed", FAILED))
    for outcome, table in tables:
        for subject, pattern in table:
            if match := pattern.search(text):
                line = text[text.rfind("\n", 0, match.start() + 1) + 1 :].partition("\n")[0]
                found[subject] = (outcome, line.strip()[:200])
    return {**{subject: _by_code(command, answer) for subject in subjects}, **found}


def _by_code(command: str, answer: Answer) -> tuple[Outcome, str]:
    text = encodable(answer.text[:400] + "\n" + answer.text[-400:])
    code = _EXIT.search(text)
    if _STILL.search(text) and not code:
        return "unknown", ""
    if answer.failed or (code and int(code[1][:9]) != 0):
        return "failed", code[0] if code else "the command failed"
    masked = any(mark in command for mark in ("|", ";", "&\n")) or command.rstrip().endswith("&")
    return ("unknown" if masked else "passed"), ""


@lru_cache(maxsize=256)
def subjects_of(command: str) -> frozenset[Subject]:
    """What a shell command checks: run by whatever, in whichever part of it."""
    found: set[Subject] = set()
    for one in read(command).commands if command else ():
        words = encodable(" ".join([one.name, *one.args]))
        if one.name in _VIEWERS or one.inside == "remote" or "--version" in one.args or "--help" in one.args:
            continue
        found |= {subject for subject, pattern in COMMANDS if pattern.search(words)}
    return frozenset(found)


def _views(command: str) -> bool:
    """Whether a command only shows what stands somewhere; a log that it shows counts as what was logged."""
    shows = all(one.name in _VIEWERS for one in read(command).commands)
    return shows and ".log" not in command and ".out" not in command


_HARMLESS = ("tee", "mkdir", "touch")


def _edited(call: ToolCall, command: str) -> Iterable[str]:
    try:
        written = {
            str(one.place) for one in accesses(call) if one.way == "write" and one.by not in ("tee", "mkdir", "touch")
        }
    except Unreadable:
        return ()
    return sorted(path for path in written if not _NO_CODE.search(encodable(path)))[:1]


def _command(call: ToolCall) -> str:
    try:
        return (command_of(call) or "")[:COMMAND_CHARS]
    except Unreadable:
        return ""


# The three formats.


def _calls(document: Mapping[str, Any]) -> Iterator[ToolCall]:
    for message in _objects(document.get("messages")):
        for block in _objects(message.get("content")):
            if block.get("type") == "tool_use":
                yield _call(block.get("id"), block.get("name"), block.get("input"))
        for call in _objects(message.get("tool_calls")):
            for kind, key in (("function", "arguments"), ("custom", "input")):
                for inner in _objects([call.get(kind)]):
                    yield _call(call.get("id"), inner.get("name"), inner.get(key), custom=kind == "custom")
    for item in _objects(document.get("input")):
        kind = str(item.get("type"))
        if kind.endswith("_call") and item.get("call_id"):
            name = item.get("name") or kind.removesuffix("_call")
            given = next((item[key] for key in ("arguments", "input", "action", "operation") if key in item), None)
            yield _call(item.get("call_id"), name, given, custom=kind == "custom_tool_call")


def _call(id: Any, name: Any, given: Any, *, custom: bool = False) -> ToolCall:
    arguments = given if isinstance(given, str) else dumps(given or {}).decode()
    return ToolCall(block=0, id=str(id), name=str(name), arguments=arguments, custom=custom)


def _answers(document: Mapping[str, Any]) -> Iterator[tuple[str, Answer]]:
    for message in _objects(document.get("messages")):
        if message.get("role") == "tool":
            yield str(message.get("tool_call_id")), Answer(text=_text(message.get("content")))
        for block in _objects(message.get("content")):
            if block.get("type") == "tool_result":
                answer = Answer(text=_text(block.get("content")), failed=block.get("is_error") is True)
                yield str(block.get("tool_use_id")), answer
    for item in _objects(document.get("input")):
        if str(item.get("type")).endswith("_output"):
            yield str(item.get("call_id")), Answer(text=_text(item.get("output")))


def _text(value: Any) -> str:
    """The text of an answer: as it is, in parts, or as a shell's streams and its exit code."""
    if isinstance(value, str):
        return value
    parts: list[str] = []
    for part in _objects(value):
        parts += [str(part[key]) for key in ("text", "stdout", "stderr") if isinstance(part.get(key), str)]
        parts += [f"exit_code: {end['exit_code']}" for end in _objects([part.get("outcome")]) if "exit_code" in end]
    return "\n".join(parts)


def _objects(values: Any) -> list[Mapping[str, Any]]:
    return [value for _, value in objects(values)]
