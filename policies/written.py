"""What the calls of a session have written into files, for later calls that run them. Kept in memory, and bounded."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from lockgate.events import ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.commands import Unreadable, command_of, folder_of
from lockgate.policies.ledger import opening
from lockgate.policies.shell.model import HERE
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.read import read
from lockgate.policies.writes import MAX_CHARS, Write, writes_of
from lockgate.wire.document import dumps
from lockgate.wire.turns import messages_of, turns_in

SESSIONS, FILES, CHARS = 500, 100, 400_000
"""So many sessions are remembered, so many files of each, and so much text of them; the latest."""
MESSAGES = 400
"""So many of a request's last messages are looked through where its session is new here."""
SHORT = 6
"""Messages of a history that is read at once: a longer one is read beside what else goes on."""
COMMANDS = 40
"""So many commands of a history are read for what they write."""
USED = 12
"""No more files are taken into account for one command."""
_RUN_BY = {
    "makefile": re.compile(r"\bmake\b"),
    "gnumakefile": re.compile(r"\bmake\b"),
    "package.json": re.compile(r"\b(?:npm|pnpm|yarn|bun)\b"),
    "justfile": re.compile(r"\bjust\b"),
    "conftest.py": re.compile(r"\b(?:pytest|tox)\b"),
    "setup.py": re.compile(r"\bpip3?\s+install\b"),
}
_HOME = re.compile(r"/(?:home|Users)/[^/]+/|/root/")


class Files:
    """The files that one session has written, by their paths as they were given."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._names: dict[str, str] = {}
        """The name of each file, by its path."""
        self._chars = 0
        self._shared = False
        """Whether another one goes on from the same files: they are copied before either changes."""

    def write(self, write: Write) -> None:
        path = place(write.path).text
        self.put(path, write.onto(self._texts.get(path)))

    def put(self, path: str, text: str | None) -> None:
        """The file holds this from now on; None where that is not known."""
        if self._shared:
            self._texts, self._names, self._shared = self._texts.copy(), self._names.copy(), False
        self._forget(path)
        if text is None or len(text) > MAX_CHARS:
            return
        self._texts[path], self._names[path] = text, path.rpartition("/")[2]
        self._chars += len(text)
        while len(self._texts) > FILES or self._chars > CHARS:
            self._forget(next(iter(self._texts)))

    def _forget(self, path: str) -> None:
        self._chars -= len(self._texts.pop(path, ""))
        self._names.pop(path, None)

    def note(self, call: ToolCall, wrote: Mapping[str, str | None] | None = None) -> None:
        """Remembers what the call writes; `wrote` is what its command does."""
        for write in writes_of(call):
            self.write(write)
        for path, text in (wrote or {}).items():
            self.put(path, text)

    def paths(self) -> Sequence[str]:
        """Where the files are, the one that was written last at the end."""
        return tuple(self._texts)

    def text(self, path: str) -> str:
        return self._texts[path]

    def fork(self) -> Files:
        """A copy that may go on by itself."""
        other = Files()
        other._texts, other._names, other._chars = self._texts, self._names, self._chars
        self._shared = other._shared = True
        return other

    def named_in(self, command: str) -> dict[str, str | None]:
        """The files that the command, or one that it names, may run, by every place that they may be known by."""
        found, names = dict[str, str](), frozenset(self._names.values())
        texts = [command] if names else []
        while texts and len(found) < USED:
            text = texts.pop()
            named = {name for name in names if name in text or _runs(name, text)}
            for path, content in reversed(self._texts.items()) if named else ():
                if path not in found and self._names[path] in named:
                    found[path] = content
                    texts.append(content)
        return {name: found[path] for path in reversed(found) for name in _names(path, command)}


def _runs(name: str, text: str) -> bool:
    runs = _RUN_BY.get(name.lower())
    return runs is not None and runs.search(text) is not None


def _names(path: str, command: str) -> Iterator[str]:
    """The file's place, and those below the folder where a command may start: nobody says which that is."""
    yield path
    parts = path.removeprefix(f"{HERE}/").strip("/").split("/")
    yield from (f"{HERE}/{'/'.join(parts[at:])}" for at in range(max(0, len(parts) - 8), len(parts)))
    if home := _HOME.match(path):
        yield f"~/{path[home.end() :]}"
    ending = path.removeprefix(f"{HERE}/")
    if path.startswith(HERE) and f"/{ending}" in command:  # much cheaper than to look for its beginning
        yield from (
            found[0] for found in re.finditer(rf"(?<![^\s'\"=]){_ABSOLUTE}{re.escape(ending)}(?![^\s'\";|&])", command)
        )


_ABSOLUTE = r"[~/][^\s'\";|&]*/"


class Written:
    """The files of the sessions of one rule."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Files] = OrderedDict()

    async def of(self, x: Exchange) -> Files:
        """The files of the exchange's session; those of its history, where the session is new here."""
        keys = [key for key in (x.session_id, x.session.marker if x.session else "") if key]
        if not keys:  # others may begin with the same words, and all with none
            keys = [opening(x) if any(spot.role == "user" and spot.text for spot in x.request.texts()) else x.id]
        files = next((known for key in keys if (known := self._sessions.get(key)) is not None), None)
        if files is None:
            long = len(messages_of(x.format, x.request.document)) > SHORT
            files = await asyncio.to_thread(_of_history, x) if long else _of_history(x)
        for key in keys:
            self._sessions[key] = files
            self._sessions.move_to_end(key)
        while len(self._sessions) > SESSIONS * 3:  # a session is known by up to three names
            self._sessions.popitem(last=False)
        return files


def _of_history(x: Exchange) -> Files:
    """What the calls of the request's history wrote, as the client tells it."""
    files, calls = Files(), list(_calls_in(x))
    commands = [call for call in calls if _writes_by_command(call)][-COMMANDS:]
    for call in calls:
        files.note(call, _by_command(call) if call in commands else {})
    return files


def _writes_by_command(call: ToolCall) -> bool:
    return len(call.arguments) <= MAX_CHARS and (">" in call.arguments or "tee" in call.arguments)


def _by_command(call: ToolCall) -> Mapping[str, str | None]:
    try:
        command = command_of(call)
    except Unreadable:
        return {}
    return read(command, folder_of(call)).files if command is not None else {}


def _calls_in(x: Exchange) -> Iterator[ToolCall]:
    for turn in turns_in(x.format, messages_of(x.format, x.request.document)[-MESSAGES:]):
        for call in turn.calls:
            custom = isinstance(call.arguments, str)
            arguments = call.arguments if custom else dumps(call.arguments or {}).decode()
            yield ToolCall(block=0, id=call.id, name=call.name, arguments=arguments, custom=custom)
