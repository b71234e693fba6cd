"""Commands as they start: functions, builtins, programs, and what those run inside of them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

from lockgate.policies.shell.effects import Effects
from lockgate.policies.shell.follow import INTERPRETERS, inner_of, script_file
from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import (
    HERE,
    SOME,
    SOME_END,
    SPLIT,
    UNSET,
    UNSET_END,
    Command,
    Redirect,
    program_name,
    versionless,
)
from lockgate.policies.shell.outputs import output_of
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.projects import recipes
from lockgate.policies.shell.redirects import first_of
from lockgate.policies.shell.scope import Scope
from lockgate.policies.shell.work import MAX_NESTING, MAX_SCRIPTS, MAX_TEXT, Asked, Feed, Node, Nothing

_GLOBBED = (
    *("rm", "sh", "bash", "dd", "cat", "nc", "curl", "wget", "chmod", "chown", "mkfs", "shred", "zsh", "dash", "mv"),
    *(
        "kill",
        "reboot",
        "shutdown",
        "python",
        "python3",
        "perl",
        "base64",
        "unlink",
        "rmdir",
        "find",
        "tee",
        "ls",
        "echo",
    ),
)


_SENDERS = frozenset(
    {"curl", "wget", "scp", "rsync", "nc", "http", "aws", "gsutil", "rclone", "ftp", "gh", "mail", "s3cmd", "mc"}
)


_CLIENTS = frozenset(
    {"psql", "mysql", "mariadb", "sqlcmd", "cqlsh", "mongosh", "snowsql", "beeline", "hive", "spark-sql"}
)
"""Programs that run the statements of a file that an option names."""


class Starter(Effects):
    """Starts commands, which only keeps them and reads what they would run."""

    def _simple(
        self, node: Node, feed: Feed, redirects: Sequence[Redirect] = (), arguments: Sequence[Node] = ()
    ) -> str | None:
        words, own, assigned = list[str](), list[Redirect](), dict[str, str]()
        self._gathered = []
        torn = self._torn(node)
        for child in node.children:
            if child.start_byte in torn:
                words += torn[child.start_byte]
                continue
            match child.type:
                case "variable_assignment":
                    value = child.child_by_field_name("value")
                    name = self._text(child.child_by_field_name("name"))
                    assigned[name] = "" if value is None else self._value(value)
                case "command_name":
                    words += [word for part in child.children for word in self._words(part)]
                case "file_redirect" | "herestring_redirect" | "heredoc_redirect":
                    own += self._redirect(child)
                case "$":
                    if child.next_sibling is None or child.next_sibling.type != "string":
                        words.append("$")
                case "subshell":
                    self._statement(child, feed)
                case _:
                    words += self._words(child)
        words += [word for argument in arguments for word in self._words(argument)]
        if not words:
            self.scope.variables.update(assigned)
        asked = Asked(
            source=self._text(node),
            feed=feed,
            redirects=(*own, *redirects),
            assignments=assigned,
            feeds=tuple(self._gathered),
        )
        return self._run(words, asked)

    def _torn(self, node: Node) -> dict[int, list[str]]:
        """Words that the parser tears at a `$NAME` before a slash, by where their parts begin."""
        found: dict[int, list[str]] = {}
        children = [child for child in node.children if child.end_byte > child.start_byte]
        for first, second in itertools.pairwise(children):
            if first.end_byte == second.start_byte and self._text(first).endswith("$") and second.type == "word":
                whole = re.sub(r"\$([A-Za-z_]\w*)", r"${\1}", self._bytes(first.start_byte, second.end_byte))
                walker = self.fresh(f"x {whole}")
                command = first_of(self._work.parse(walker._source), "command")
                arguments: list[Node] = [] if command is None else command.children_by_field_name("argument")
                found[first.start_byte] = [word for argument in arguments for word in walker._words(argument)]
                found[second.start_byte] = []
        return found

    def _run(self, words: Sequence[str], asked: Asked) -> str | None:
        """Starts a command whose words are known: an alias, a function, a builtin or a program."""
        head = words[0] if words else ""
        if self._spawning and self._aside_here and head not in ("wait", "sleep", "kill"):
            self._work.add(replace(self._command(words, asked), endless=True))
        if head in self.scope.aliases and f"alias {head}" not in self._active:
            text = " ".join((self.scope.aliases[head], *map(shlex.quote, words[1:])))
            return self._nested(Inner(via="alias", script=text), asked.feed, active=f"alias {head}")
        if head in self.scope.functions:
            return self._call(words, asked)
        command = self._command(words, asked)
        if not self._work.add(command):
            return None
        self._builtin(command)
        printed = self._inside(command, asked.feed)
        output = printed if printed is not None else output_of(command, self.scope.files)
        if not words:
            output = ""
        for redirect in asked.redirects:
            self._written(redirect, output, [*command.feeds, command])
        self._files(command, output)
        return output

    def _command(self, words: Sequence[str], asked: Asked) -> Command:
        text, feeds = asked.feed.text, (*asked.feed.commands, *asked.feeds)
        piped = asked.feed.piped
        for redirect in asked.redirects:
            if redirect.kind == "text":
                text, piped = redirect.text, True
            elif redirect.kind == "read":
                where = place(redirect.target, self.scope.cwd, self.scope.links).text
                text, piped = self.scope.files.get(where), True
                feeds = (*feeds, *self.scope.origins.get(where, ()))
        if words and (ran := self._ran_file(words)) is not None:
            feeds = (*feeds, *self.scope.origins.get(ran, ()))
        if words and program_name(words[0]) == "xargs" and "-a" in words[:-1]:
            given = place(words[list(words).index("-a") + 1], self.scope.cwd, self.scope.links).text
            text, feeds = self.scope.files.get(given, text), (*feeds, *self.scope.origins.get(given, ()))
        if words and "/" in words[0] and "sudo" in self._via and self.scope.origins:
            feeds = (*feeds, *self._cloned_by(words[0]))
        if text is None and self.scope.files and words and program_name(words[0]) in _CLIENTS:
            text = next(
                (t for a, b in itertools.pairwise(words) if a in ("-f", "--file", "-i") and (t := self._file(b))), None
            )
        if self.scope.origins and words and program_name(words[0]) in _SENDERS:
            feeds = (*feeds, *self._sent_files(words[1:]))
        if words and any(letter in words[0] for letter in "*?["):
            words = (_globbed(words[0]), *words[1:])
        return Command(
            words=tuple(words),
            source=asked.source,
            via=self._via,
            redirects=tuple(asked.redirects),
            assignments=asked.assignments,
            stdin=text,
            piped=piped,
            feeds=feeds[-100:],
            cwd=self.scope.cwd,
            links=self.scope.links,
            inside=self._where,
        )

    def _file(self, path: str) -> str | None:
        return self.scope.files.get(place(path, self.scope.cwd, self.scope.links).text)

    def _cloned_by(self, program: str) -> Iterator[Command]:
        where = place(program, self.scope.cwd, self.scope.links).text
        for name, commands in self.scope.origins.items():
            if name.startswith("clone ") and where.startswith(f"{name[6:]}/"):
                yield from commands

    def _sent_files(self, words: Sequence[str]) -> Iterator[Command]:
        """The commands that wrote the files which another one sends."""
        for word in words:
            path = word.partition("=@")[2] or word.removeprefix("@")
            if len(path) < 4_096 and path:
                yield from self.scope.origins.get(place(path, self.scope.cwd, self.scope.links).text, ())

    def _call(self, words: Sequence[str], asked: Asked) -> str | None:
        name = words[0]
        if name in self._active:
            if self._aside:
                self._work.add(replace(self._command(words, asked), endless=True))
            return None
        body, source = self.scope.functions[name]
        walker = type(self)(self._work, self.scope, via=self._via, inside=self._where, active=self._active | {name})
        walker._source, walker._level, walker._aside = source, self._level, self._aside
        positional, self.scope.positional = self.scope.positional, tuple(words[1:])
        feed = walker._into(asked.feed, asked.redirects)
        output = walker._statement(body, feed, [r for r in asked.redirects if r.kind in ("write", "append")])
        self.scope.positional = positional
        return output

    def _inside(self, command: Command, feed: Feed) -> str | None:
        """Reads what the command runs; gives back what that prints, where it is known and all there is."""
        output: str | None = None
        found = False
        for inner in (*inner_of(command), *self._from_file(command)):
            given = Feed(command.stdin, command.piped, command.feeds) if inner.reads_input else Nothing
            if inner.language != "sh":
                output = self._program(inner, command)
            elif inner.script is None:
                output = self._nested_words(inner, command, given)
            else:
                output = self._nested(inner, given, feeds=command.feeds)
            found = True
        return output if found else None

    def _nested_words(self, inner: Inner, command: Command, feed: Feed) -> str | None:
        walker = self._walker(inner)
        feeds = command.feeds if not inner.reads_input else command.feeds[len(feed.commands) :]
        assigned = {**command.assignments, **inner.assignments}
        asked = Asked(source=command.source, feed=feed, redirects=command.redirects, assignments=assigned, feeds=feeds)
        if len(walker._via) > MAX_SCRIPTS * 2:
            self._work.note("it is nested too deeply to be read", command.source)
            return None
        return walker._run(inner.words, asked)

    def _walker(self, inner: Inner, *, active: str = "", scope: Scope | None = None) -> Self:
        scope = scope or self.scope
        if inner.cwd is not None:
            scope = replace(scope.copy(), cwd=place(inner.cwd, scope.cwd).text)
        via = (*self._via, inner.via)
        names = self._active | {active} if active else self._active
        walker = type(self)(self._work, scope, via=via, inside=inner.inside or self._where, active=names)
        walker._level, walker._aside = self._level + 1, self._aside
        return walker

    def _nested(self, inner: Inner, feed: Feed, *, active: str = "", feeds: Sequence[Command] = ()) -> str | None:
        text = inner.script or ""
        scope = self.scope if inner.via in ("eval", "alias", "trap", ".", "source") else self.scope.copy()
        if inner.inside:
            scope = Scope()
        if inner.positional is not None:
            scope = replace(scope, positional=tuple(inner.positional[1:]))
            if inner.positional:
                scope.variables["0"] = inner.positional[0]
        walker = self._walker(inner, active=active, scope=scope)
        if walker._level > MAX_NESTING:
            self._work.note("it is nested too deeply to be read", text)
            return None
        marked, names = _as_variables(text)
        for name, value in names.items():
            scope.variables[name] = value
            if feeds:
                scope.origins[f"${name}"] = tuple(feeds)
        return walker.script(marked, feed)

    def _program(self, inner: Inner, command: Command) -> str | None:
        """Reads what a script in another language would run, as the shell commands that would do the same."""
        from lockgate.policies.shell.programs import commands_in

        self._work.scripts += 1
        text = inner.script or ""
        if len(text) > MAX_TEXT or self._work.scripts > 500 or len(self._via) > MAX_SCRIPTS:
            self._work.note("it is too long or too deeply nested to be read", text)
            return None
        made = commands_in(text, inner.language)
        for reason in made.unclear:
            self._work.note(reason, text)
        made_commands: list[Command] = []
        for one in made.inner:
            walker = self._walker(replace(one, via=inner.via), scope=self.scope.copy())
            start = len(self._work.commands)
            feed = Feed(one.stdin, one.stdin is not None, tuple(made_commands[-50:]))
            source = one.via or text[:200]
            if one.script is None:
                walker._run(one.words, Asked(source=source, feed=feed))
            elif one.language == "sh":
                self._nested(replace(one, via=inner.via), feed)
            else:
                self._program(replace(one, via=inner.via), command)
            made_commands += self._work.commands[start:]
        return made.output

    def _from_file(self, command: Command) -> Iterator[Inner]:
        """What runs where the command is, or is given, a file that the same script has written."""
        if self.scope.files or command.stdin is not None:
            yield from recipes(command, self.scope.files)
        where = self._ran_file(command.words) if command.words else None
        text = self.scope.files[where] if where is not None else None
        if text is None or f"file {where}" in self._active:
            return
        name = versionless(command.name)
        given = script_file(command) if name in INTERPRETERS else (command.words[0], command.args)
        language = INTERPRETERS[name] if name in INTERPRETERS else "sh" if name in (".", "source") else _shebang(text)
        active, self._active = self._active, self._active | {f"file {where}"}
        positional = [given[0], *given[1]] if given else None
        yield Inner(via=command.name, script=text, language=language, positional=positional, reads_input=False)
        self._active = active


_LONGEST_NAME = 64
"""A longer word means no program's name."""


def _globbed(word: str) -> str:
    """The program that a word such as `/bin/r?` means most likely."""
    from fnmatch import fnmatchcase

    pattern = word.rpartition("/")[2]
    if len(pattern) > _LONGEST_NAME:
        return word
    return next((name for name in _GLOBBED if fnmatchcase(name, pattern)), word) if pattern != "*" else word


def _as_variables(text: str) -> tuple[str, dict[str, str]]:
    """A script with marks in it, made readable: each mark becomes a variable that holds it."""
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        if found[0].startswith(UNSET):
            return f"${{{found[0][1:-1]}}}"
        name = f"__unknown_{len(names)}"
        names[name] = found[0]
        return f"${{{name}}}"

    if SOME not in text and UNSET not in text:
        return text.replace(HERE, "$PWD").replace(SPLIT, " "), names
    text = re.sub(f"[{UNSET}{SOME}][^{UNSET_END}{SOME_END}]*[{UNSET_END}{SOME_END}]", named, text)
    return text.replace(HERE, "$PWD").replace(SPLIT, " "), names


def _shebang(text: str) -> str:
    if not text.startswith("#!"):
        return "sh"
    words = text[2:200].split("\n")[0].split()
    name = program_name(
        words[1] if words and program_name(words[0]) == "env" and len(words) > 1 else words[0] if words else "sh"
    )
    return INTERPRETERS.get(versionless(name), "sh")
