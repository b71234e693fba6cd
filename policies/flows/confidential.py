"""What a session was shown that is not to leave: credentials, records of people, and the files that hold them.

Kept in memory, and bounded. A credential may go where it belongs: to a host that stood beside it, or whose name is in the
name of the variable that held it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lockgate.events import ToolCall
from lockgate.policies.danger.hosts import host_of, local
from lockgate.policies.danger.rules import line
from lockgate.policies.flows.deeds import Acts
from lockgate.policies.flows.leaving import away, hosts_named, own_use, recipients, shown_to_others, stores, urls_in
from lockgate.policies.flows.places import is_example, is_secret
from lockgate.policies.flows.provenance import cells_in, is_number_of, letters, readings, records_in, shown_values
from lockgate.policies.flows.tool_deeds import words_of
from lockgate.policies.flows.trace import Step
from lockgate.policies.patterns import encodable, finds
from lockgate.policies.shell.follow import INTERPRETERS
from lockgate.policies.shell.model import shown, versionless
from lockgate.policies.shell.paths import Place, place

MAX_VALUES = 200
MAX_RECORDS = 400
MAX_FILES = 60
MAX_CHARS = 200_000
"""So much of a call is looked through."""
FEW_RECORDS = 2
"""One address or number may be somebody's whom the call is about."""
_COPIES = frozenset({
    *("cp", "cat", "tee", "tar", "zip", "gzip", "xz", "bzip2", "7z", "base64", "base32", "xxd", "openssl", "gpg", "age"),
    *("split", "ln", "dd", "install", "mv", "steghide", "rsync", "sed", "awk", "head", "tail", "zstd", "ditto", "sort", "tr"),
})  # fmt: skip
"""Programs whose output holds what they read."""
_COMMON_WORDS = frozenset({
    *("secret", "token", "password", "passwd", "key", "keys", "access", "auth", "private", "api", "app", "user", "prod"),
    *("database", "test", "live", "client", "session", "signing", "http", "https", "service", "admin", "server", "host"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A credential by its letters and digits, and the hosts and words that stood beside it."""

    letters: str
    hosts: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Confidential:
    """What is remembered of a session."""

    values: tuple[Value, ...] = ()
    records: tuple[str, ...] = ()
    files: tuple[Place, ...] = ()
    """Files that showed a credential, by their content."""
    copies: tuple[Place, ...] = ()
    """Files that hold what was copied from one."""
    near: bool = False
    """Whether the browser was last led to a page of this machine."""

    def after(self, step: Step, acts: Acts) -> Confidential:
        """What is remembered once the call was made and answered."""
        known = self
        if acts.reaches and "browser" in acts.tool.replace("_", " ").lower().split() + acts.tool.lower().split("_"):
            known = replace(known, near=all(local(reach.host) for reach in acts.reaches))
        known = known._with_copies(acts)
        return known._shown(step.result, acts) if step.result else known

    def leak(self, call: ToolCall, acts: Acts) -> bool:
        """Whether the call would take any of it off this machine."""
        if not (self.values or self.records or self.files or self.copies or acts.does & {"reads-secret"}):
            return False
        if not away(acts, near=self.near) or stores(acts):
            return self._pushed(acts)
        return self._pushed(acts) or self._named(acts) or self._told(call, acts)

    def _with_copies(self, acts: Acts) -> Confidential:
        copied = bool(acts.writes) and any(command.name in _COPIES for command in acts.commands)
        if copied and any(self._holds(found) for found in acts.reads if found not in acts.writes):
            return replace(self, copies=(*self.copies, *acts.writes)[-MAX_FILES:])
        written = acts.writes if not acts.commands else (place(".git/HEAD"),) if _commits(acts) else ()
        if (written or _commits(acts)) and any(self._said(acts.texts)):
            return replace(self, copies=(*self.copies, *(written or (place(".git/HEAD"),)))[-MAX_FILES:])
        if acts.writes and "dumps-data" in acts.does:
            return replace(self, copies=(*self.copies, *acts.writes)[-MAX_FILES:])
        return self

    def _shown(self, result: str, acts: Acts) -> Confidential:
        example = bool(acts.reads) and all(map(is_example, acts.reads))
        if example:
            return self
        found = [*shown_values(result, secret="reads-secret" in acts.does)]
        values = [Value(letters(value), _hosts(beside), _words(name)) for name, value, beside in found]
        values = [value for value in values if value not in self.values]
        values += [Value(cell) for cell in cells_in(result)] if "dumps-data" in acts.does else []
        records = [] if _is_source(acts) else [record for record in records_in(result) if record not in self.records]
        if not values and not records:
            return self
        files = (acts.reads or tuple(_named_files(acts))) if values and len(acts.reads) <= 3 else ()
        return replace(
            self, values=(*self.values, *values)[-MAX_VALUES:], records=(*self.records, *records)[-MAX_RECORDS:],
            files=(*self.files, *(one for one in files if one not in self.files))[-MAX_FILES:],
        )  # fmt: skip

    def _holds(self, found: Place) -> bool:
        return is_secret(found) or any(found == one for one in (*self.files, *self.copies))

    def _told(self, call: ToolCall, acts: Acts) -> bool:
        """Whether its words hold a credential that does not belong there, or records of people."""
        hosts = hosts_named(acts)
        for value in self._said(map(own_use, acts.texts) if acts.commands else acts.texts):
            if not hosts or not all(_belongs(value, host) for host in hosts):
                return True
        return self._tells_of_people(call, acts)

    def _said(self, texts: Iterable[str]) -> Iterator[Value]:
        if not self.values:
            return
        for text in texts:
            said = [letters(one) for one in _all_readings(text[:MAX_CHARS])]
            yield from (value for value in self.values if any(value.letters in one for one in said))

    def _tells_of_people(self, call: ToolCall, acts: Acts) -> bool:
        if not self.records:
            return False
        said = [letters(one) for text in shown_to_others(call, acts) for one in readings(text[:MAX_CHARS])]
        own = " ".join(letters(text) for text in recipients(call, acts))
        told = [record for record in self.records if record not in own and any(record in one for one in said)]
        return sum(1 + is_number_of(record) for record in told) >= FEW_RECORDS

    def _named(self, acts: Acts) -> bool:
        """Whether it names a file that holds a secret, other than to use it."""
        held = [*self.files, *self.copies, *(found for found in acts.reads if is_secret(found))]
        if not acts.commands:
            names = {_name(found) for found in held}
            return any(" " not in text and text.rpartition("/")[2] in names for text in acts.texts if len(text) < 1_000)
        if any(found == copy for found in acts.reads for copy in self.copies):
            return True
        texts = [own_use(str(one)) for one in acts.commands if one.name not in _NAMING]
        texts += acts.texts if any(versionless(one.name) in INTERPRETERS for one in acts.commands) else ()
        return any(_mentions(text, found) for found in held for text in texts)

    def _pushed(self, acts: Acts) -> bool:
        """Whether it publishes the folder that a copy stands in."""
        if not acts.does & {"pushes", "publishes"}:
            return False
        return any("tmp" not in found.parts[:2] and not found.outside for found in self.copies)


def _all_readings(text: str) -> Iterator[str]:
    yield from readings(text)
    if len(text) < 20_000:
        yield codecs.encode(text, "rot13")


def _name(found: Place) -> str:
    return shown(found.text).rstrip("/").rpartition("/")[2]


def _named_files(acts: Acts) -> Iterator[Place]:
    """Files that a tool is told of under a key that nobody knows."""
    if not acts.commands:
        names = [text for text in acts.texts if len(text) < 200 and finds(r"^[\w./~-]+\.\w{1,10}$", encodable(text))]
        yield from map(place, names[:3])


def _is_source(acts: Acts) -> bool:
    """Whether it shows who wrote a program."""
    if any(command.name in ("git", "gh", "npm", "pip", "cargo", "hg") for command in acts.commands):
        return True
    return bool(acts.reads) and all(finds(_SOURCES, shown(found.text)) for found in acts.reads)


_SOURCES = (
    r"(?i)\.(?:py|js|ts|tsx|jsx|go|rs|java|rb|php|c|h|cpp|cs|toml|lock|html?|css|mdx?|rst)$|(?:^|/)(?:package\.json|authors|codeowners|"
    r"maintainers|contributors|license|\.mailmap)[\w.]*$"
)
_NAMING = frozenset({"echo", "printf", "git", "grep", "rg", "ls", "rm", "test", "sed", "chmod", "touch", "find", "cat"})
"""Programs that take a name for a word, or show a file to none but the model."""


def _mentions(text: str, found: Place) -> bool:
    name = _name(found)
    if len(name) < 3 or name not in text:
        return False
    return finds(rf"(?:^|[\s/'\"=@:<(]){_quoted(name)}(?:$|[\s'\";:)/,&|])", encodable(text))


def _quoted(name: str) -> str:
    return "".join(letter if letter.isalnum() else f"\\x{{{ord(letter):x}}}" for letter in name)


def _commits(acts: Acts) -> bool:
    """Whether it puts its words into a repository."""
    if not acts.commands:
        return {"git", "commit"} <= words_of(acts.tool)
    return any(
        command.name == "git" and finds(r"^(?:-\S+ )*(?:commit|tag|branch|checkout|notes|config)\b", line(command))
        for command in acts.commands
    )


def _hosts(beside: str) -> frozenset[str]:
    return frozenset(host_of(url) for url in urls_in(beside)) - {""}


def _words(name: str) -> frozenset[str]:
    parts = name.lower().replace("-", "_").split("_")
    return frozenset(part for part in parts if len(part) > 3 and part not in _COMMON_WORDS)


def _belongs(value: Value, host: str) -> bool:
    if local(host) or host in value.hosts:
        return True
    labels: Sequence[str] = host.split(".")[-3:-1] if host.endswith((".co.uk", ".com.au")) else host.split(".")[-2:-1]
    return any(word in label for word in value.words for label in labels)
