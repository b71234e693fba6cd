"""Goes through a parsed script in the order it would run, and keeps what it would start. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lockgate.policies.shell import words as spelled
from lockgate.policies.shell.follow import INTERPRETERS, Inner, Where, inner_of, script_file
from lockgate.policies.shell.model import (
    HERE,
    QUOTED,
    SPLIT,
    UNQUOTED,
    Command,
    Redirect,
    Unclear,
    known,
    program_name,
    shown,
    some,
    unset,
)
from lockgate.policies.shell.outputs import output_of
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.scope import Scope

MAX_TEXT = 200_000
"""A longer script is not read, and said to be so."""
MAX_TOTAL = 1_000_000
MAX_COMMANDS = 4_000
MAX_NESTING = 60
MAX_SCRIPTS = 12
"""So many scripts in scripts."""
MAX_TURNS = 64
"""So many values of a loop's variable are tried."""
MAX_VALUE = 100_000

type Node = Any


@dataclass(frozen=True, slots=True)
class Feed:
    """What a command reads: the text where it is known, and the commands that it comes from."""

    text: str | None = None
    piped: bool = False
    commands: Sequence[Command] = ()


Nothing = Feed()


class Work:
    """What all scripts in one command share: what was found, and what is left of the bounds."""

    def __init__(self, parser: Any) -> None:
        self.parser = parser
        self.commands: list[Command] = []
        self.unclear: list[Unclear] = []
        self.characters = 0
        self.scripts = 0

    def note(self, reason: str, text: str) -> None:
        if len(self.unclear) < 20:
            self.unclear.append(Unclear(reason=reason, text=shown(text[:2_000])))

    def add(self, command: Command) -> bool:
        if len(self.commands) >= MAX_COMMANDS:
            self.note("it runs too many commands to be read", str(command))
            return False
        self.commands.append(command)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How a command is started: all but its words."""

    source: str
    feed: Feed = Nothing
    redirects: Sequence[Redirect] = ()
    assignments: Mapping[str, str] = field(default_factory=dict[str, str])
    feeds: Sequence[Command] = ()


_RUN_INTO = frozenset({
    *("program", "do_group", "compound_statement", "if_statement", "else_clause", "elif_clause", "ERROR", "subshell"),
    *("case_item", "negated_command", "c_style_for_statement", "test_command", "binary_expression", "unary_expression"),
    *("parenthesized_expression", "ternary_expression", "postfix_expression"),
})  # fmt: skip
_SILENT = frozenset({"comment", "heredoc_body", "heredoc_start", "heredoc_end", "file_descriptor"})
_LEAVES = frozenset(
    {"word", "number", "extglob_pattern", "regex", "variable_name", "special_variable_name", "test_operator"}
)


class Walker:
    """Reads one script. Those inside of it have walkers of their own, which share its `Work`."""

    def __init__(
        self,
        work: Work,
        scope: Scope,
        *,
        via: Sequence[str] = (),
        inside: Where = "",
        active: frozenset[str] = frozenset(),
    ) -> None:
        self._work, self.scope, self._via, self._where = work, scope, tuple(via), inside
        self._active = active
        """The functions and aliases that are running."""
        self._source = b""
        self._level = 0
        self._aside = self._aside_here = False
        """Whether what runs now runs in the background or in a pipe."""
        self._spawning = False
        """Whether what runs now runs so often that, in the background, it would exhaust the machine."""
        self._gathered: list[Command] = []
        """The commands whose output the words being read hold."""

    def script(self, text: str, feed: Feed) -> str | None:
        """Reads a whole script; gives back what it prints, where that is known."""
        work = self._work
        work.characters += len(text)
        work.scripts += 1
        if len(text) > MAX_TEXT or work.characters > MAX_TOTAL or len(self._via) > MAX_SCRIPTS or work.scripts > 500:
            work.note("it is too long or too deeply nested to be read", text)
            return None
        self._source = text.encode()
        root = work.parser.parse(self._source).root_node
        output = self._statement(root, feed)
        if root.has_error:
            self._mend(root)
        return output

    # Statements. Each gives back what it prints, where that is known.

    def _statement(self, node: Node, feed: Feed, redirects: Sequence[Redirect] = ()) -> str | None:
        if self._level > MAX_NESTING:
            self._work.note("it is nested too deeply to be read", self._text(node))
            return None
        self._level += 1
        try:
            return self._one(node, feed, redirects)
        finally:
            self._level -= 1

    def _one(self, node: Node, feed: Feed, redirects: Sequence[Redirect]) -> str | None:
        match node.type:
            case "command":
                return self._simple(node, feed, redirects)
            case "redirected_statement":
                return self._redirected(node, feed)
            case "list":
                return self._several(_flat(node), feed, redirects)
            case "pipeline":
                return self._pipeline(node, feed, redirects)
            case "subshell":
                return self._subshell(node, self._into(feed, redirects), redirects)
            case "variable_assignment":
                self._assign(node)
                return ""
            case "variable_assignments" | "declaration_command":
                return self._declare(node)
            case "unset_command":
                names = [self._text(child) for child in node.named_children]
                for name in names:
                    self.scope.variables.pop(name, None)
                self._work.add(Command(words=("unset", *names), source=self._text(node), via=self._via))
                return ""
            case "function_definition":
                self._define(node)
                return ""
            case "for_statement":
                return self._loop(node, self._into(feed, redirects))
            case "while_statement":
                return self._while(node, self._into(feed, redirects))
            case "case_statement":
                self._words(node.child_by_field_name("value"))
                return self._several(
                    [c for c in node.named_children if c.type == "case_item"], self._into(feed, redirects)
                )
            case kind if kind in _RUN_INTO:
                return self._several(node.named_children, self._into(feed, redirects), writes=redirects)
            case kind if kind in _SILENT or kind in _LEAVES:
                return ""
            case _:
                if node.is_named:
                    self._words(node)  # an expression: what it substitutes runs
                return ""

    def _into(self, feed: Feed, redirects: Sequence[Redirect]) -> Feed:
        """What a compound command reads."""
        text = next((r.text for r in reversed(redirects) if r.kind == "text"), None)
        return Feed(text, True, ()) if text is not None else feed

    def _several(
        self, nodes: Sequence[Node], feed: Feed, redirects: Sequence[Redirect] = (), writes: Sequence[Redirect] = ()
    ) -> str | None:
        output: str | None = ""
        start = len(self._work.commands)
        for at, node in enumerate(nodes):
            aside, self._aside = self._aside, self._aside or _in_background(node)
            self._aside_here = _in_background(node)
            last = at == len(nodes) - 1
            printed = self._statement(node, feed, redirects if last else ())
            self._aside = aside
            output = None if printed is None or output is None else (output + printed)[:MAX_VALUE]
        for redirect in writes:
            self._written(redirect, output, self._work.commands[start:])
        return output

    def _pipeline(self, node: Node, feed: Feed, redirects: Sequence[Redirect]) -> str | None:
        return self._piped([c for c in node.named_children if c.type not in _SILENT], feed, redirects)

    def _piped(self, stages: Sequence[Node], feed: Feed, redirects: Sequence[Redirect] = ()) -> str | None:
        aside, self._aside = self._aside, True
        text = None
        for at, stage in enumerate(stages):
            start = len(self._work.commands)
            text = self._statement(stage, feed, redirects if at == len(stages) - 1 else ())
            feed = Feed(text, True, (*feed.commands, *self._work.commands[start:])[-50:])
        self._aside = aside
        return text

    def _subshell(self, node: Node, feed: Feed, writes: Sequence[Redirect]) -> str | None:
        scope, self.scope = self.scope, self.scope.copy()
        output = self._several(node.named_children, feed, writes=writes)
        self.scope = scope
        return output

    def _redirected(self, node: Node, feed: Feed) -> str | None:
        """A statement with redirections; what follows a heredoc on its line hangs below it in the tree."""
        redirects, arguments, after, piped = list[Redirect](), list[Node](), list[Node](), list[Node]()
        for child in (part for part in node.named_children if part.type.endswith("_redirect")):
            redirects += self._redirect(child)
            if child.type == "heredoc_redirect":
                arguments += child.children_by_field_name("argument")
                after += child.children_by_field_name("right")
                piped += [part for part in child.named_children if part.type == "pipeline"]
        body = node.child_by_field_name("body")
        start = len(self._work.commands)
        if body is None:
            output = self._run([], _Asked(source=self._text(node), feed=feed, redirects=redirects))
        elif body.type == "command":
            output = self._simple(body, feed, redirects, arguments)
        else:
            output = self._statement(body, feed, redirects)
        for pipe in piped:
            stages = [stage for child in pipe.named_children for stage in _flat(child)]
            given = Feed(output, True, (*feed.commands, *self._work.commands[start:]))
            output = self._piped(stages[:1], given)
            self._several(stages[1:], feed)
        self._several([stage for child in after for stage in _flat(child)], feed)
        return output

    def _loop(self, node: Node, feed: Feed) -> str | None:
        name = self._text(node.child_by_field_name("variable"))
        self._gathered = []
        nodes = node.children_by_field_name("value")
        values = [word for value in nodes for word in self._words(value)]
        if not nodes:
            values = list(self.scope.positional or [some("an argument")])
        if self._gathered:
            self.scope.origins[f"${name}"] = tuple(self._gathered)
        spawning, self._spawning = self._spawning, self._spawning or _many(self._text(node)[:500])
        values = list(dict.fromkeys(values))
        if len(values) > MAX_TURNS:
            self._work.note("a loop has too many turns to be read", self._text(node))
        body = node.child_by_field_name("body")
        output = self._turns(body, name, values[:MAX_TURNS], feed)
        self._spawning = spawning
        return output

    def _turns(self, body: Node, name: str, values: Sequence[str], feed: Feed) -> str | None:
        output: str | None = ""
        for value in values:
            self.scope.variables[name] = value
            printed = self._statement(body, feed)
            output = None if printed is None or output is None else (output + printed)[:MAX_VALUE]
        return output

    def _while(self, node: Node, feed: Feed) -> str | None:
        body = node.child_by_field_name("body")
        conditions = [child for child in node.children_by_field_name("condition") if child.is_named]
        self._several(conditions, feed)
        endless = [self._text(c).strip() for c in conditions] in (["true"], [":"], ["1"], ["((1))"])
        spawning, self._spawning = self._spawning, self._spawning or endless
        output = self._while_body(body, conditions, feed)
        self._spawning = spawning
        return output

    def _while_body(self, body: Node, conditions: Sequence[Node], feed: Feed) -> str | None:
        reads = next((c for c in conditions if c.type == "command" and self._text(c).split()[-2:-1]), None)
        read_words = self._text(reads).split() if reads is not None else []
        if "read" in read_words[:2] and feed.text is not None and known(feed.text):
            lines = feed.text.splitlines()[:MAX_TURNS]
            return self._turns(body, read_words[-1], lines, feed)
        return self._statement(body, feed)

    def _define(self, node: Node) -> None:
        name = self._text(node.child_by_field_name("name"))
        self.scope.functions[name] = (node.child_by_field_name("body"), self._source)

    def _declare(self, node: Node) -> str:
        """`export A=b` and the like; what it sets holds for every command from now on."""
        words = [self._text(node.children[0])] if node.type == "declaration_command" else []
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._assign(child)
                name = self._text(child.child_by_field_name("name"))
                words.append(f"{name}={self.scope.variables.get(name, '')}")
            elif child.type not in ("variable_name", "word"):
                words += self._words(child)
        if words[:1] == ["export"] and len(words) > 1:
            set_here = dict(word.partition("=")[::2] for word in words[1:])
            self._work.add(Command(words=words, source=self._text(node), via=self._via, assignments=set_here))
        return ""

    def _assign(self, node: Node) -> None:
        name_node, value_node = node.child_by_field_name("name"), node.child_by_field_name("value")
        name = self._text(name_node)
        before, self._gathered = self._gathered, []
        value = "" if value_node is None else self._value(value_node)
        if self._gathered:
            self.scope.origins[f"${name}"] = tuple(self._gathered)
        self._gathered = before + self._gathered
        if self._adds(node):
            held = self.scope.variables.get(name, "")
            value = (held + SPLIT if value_node is not None and value_node.type == "array" and held else held) + value
        self.scope.variables[name] = value[:MAX_VALUE]

    def _adds(self, node: Node) -> bool:
        return any(child.type == "+=" for child in node.children)

    def _value(self, node: Node) -> str:
        if node.type == "array":
            return SPLIT.join(word for child in node.named_children for word in self._words(child))
        return self._piece(node, quoted=True).translate(UNQUOTED)

    # Simple commands.

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
        asked = _Asked(
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
        for first, second in zip(children, children[1:], strict=False):
            if first.end_byte == second.start_byte and self._text(first).endswith("$") and second.type == "word":
                whole = re.sub(r"\$([A-Za-z_]\w*)", r"${\1}", self._bytes(first.start_byte, second.end_byte))
                walker = Walker(self._work, self.scope, via=self._via, inside=self._where, active=self._active)
                walker._source = f"x {whole}".encode()
                command = _first(self._work.parser.parse(walker._source).root_node, "command")
                arguments = [] if command is None else command.children_by_field_name("argument")
                found[first.start_byte] = [word for argument in arguments for word in walker._words(argument)]
                found[second.start_byte] = []
        return found

    def _run(self, words: Sequence[str], asked: _Asked) -> str | None:
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

    def _command(self, words: Sequence[str], asked: _Asked) -> Command:
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

    def _ran_file(self, words: Sequence[str]) -> str | None:
        """The file that the command would run, where the same script has made it."""
        name, path = re.sub(r"(?<=[a-z])[\d.]+$", "", program_name(words[0])), ""
        if name in INTERPRETERS and (found := script_file(Command(words=words))):
            path = found[0]
        elif name in (".", "source") and len(words) > 1:
            path = words[1]
        elif "/" in words[0]:
            path = words[0]
        where = place(path, self.scope.cwd, self.scope.links).text if path else ""
        return where if where in self.scope.files else None

    def _call(self, words: Sequence[str], asked: _Asked) -> str | None:
        name = words[0]
        if name in self._active:
            if self._aside:
                self._work.add(replace(self._command(words, asked), endless=True))
            return None
        body, source = self.scope.functions[name]
        walker = Walker(self._work, self.scope, via=self._via, inside=self._where, active=self._active | {name})
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
        asked = _Asked(
            source=command.source, feed=feed, redirects=command.redirects, assignments=inner.assignments, feeds=feeds
        )
        if len(walker._via) > MAX_SCRIPTS * 2:
            self._work.note("it is nested too deeply to be read", command.source)
            return None
        return walker._run(inner.words, asked)

    def _walker(self, inner: Inner, *, active: str = "", scope: Scope | None = None) -> Walker:
        scope = scope or self.scope
        if inner.cwd is not None:
            scope = replace(scope.copy(), cwd=place(inner.cwd, scope.cwd).text)
        via = (*self._via, inner.via)
        names = self._active | ({active} if active else frozenset())
        walker = Walker(self._work, scope, via=via, inside=inner.inside or self._where, active=names)
        walker._level, walker._aside = self._level + 1, self._aside
        return walker

    def _nested(self, inner: Inner, feed: Feed, *, active: str = "", feeds: Sequence[Command] = ()) -> str | None:
        text = inner.script or ""
        scope = self.scope if inner.via in ("eval", "alias", "trap", ".", "source") else self.scope.copy()
        if inner.inside:
            scope = Scope()
        if inner.positional is not None:
            scope = replace(scope, positional=tuple(inner.positional[1:]))
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
            feed = Feed(None, False, tuple(made_commands[-50:]))
            source = one.via or text[:200]
            if one.script is None:
                walker._run(one.words, _Asked(source=source, feed=feed))
            elif one.language == "sh":
                self._nested(replace(one, via=inner.via), feed)
            else:
                self._program(replace(one, via=inner.via), command)
            made_commands += self._work.commands[start:]
        return made.output

    def _from_file(self, command: Command) -> Iterator[Inner]:
        """What runs where the command is, or is given, a file that the same script has written."""
        where = self._ran_file(command.words) if command.words else None
        text = self.scope.files[where] if where is not None else None
        if text is None or f"file {where}" in self._active:
            return
        name = re.sub(r"(?<=[a-z])[\d.]+$", "", command.name)
        given = script_file(command) if name in INTERPRETERS else (command.words[0], command.args)
        language = INTERPRETERS[name] if name in INTERPRETERS else "sh" if name in (".", "source") else _shebang(text)
        active, self._active = self._active, self._active | {f"file {where}"}
        positional = [given[0], *given[1]] if given else None
        yield Inner(via=command.name, script=text, language=language, positional=positional, reads_input=False)
        self._active = active

    # What commands leave behind.

    def _builtin(self, command: Command) -> None:
        args, scope = list(command.args), self.scope
        match command.words[0] if command.words else "":
            case "cd" | "pushd" | "chdir":
                targets = [arg for arg in args if not arg.startswith("-") or arg == "-"]
                target = targets[0] if targets else "~"
                scope.cwd = some("the last folder") if target == "-" else place(target, scope.cwd, scope.links).text
            case "popd":
                scope.cwd = some("the last folder")
            case "alias":
                for arg in args:
                    name, equals, text = arg.partition("=")
                    if equals:
                        scope.aliases[name] = text
            case "unalias":
                for arg in args:
                    scope.aliases.pop(arg, None)
            case "set":
                if "--" in args:
                    scope.positional = tuple(args[args.index("--") + 1 :])
            case "shift":
                scope.positional = tuple(scope.positional or ())[1:] if scope.positional is not None else None
            case "read" | "mapfile" | "readarray" | "getopts":
                self._reads(command)
            case "printf":
                if args[:1] == ["-v"] and len(args) > 2:
                    printed = output_of(replace(command, words=("printf", *args[2:])), scope.files)
                    scope.variables[args[1]] = some("printf") if printed is None else printed
            case "export" | "declare" | "typeset" | "local" | "readonly":
                for arg in args:
                    name, equals, value = arg.partition("=")
                    if equals and name.isidentifier():
                        scope.variables[name] = value
            case _:
                pass

    def _reads(self, command: Command) -> None:
        names = [arg for arg in command.args if arg.isidentifier()]
        text = command.stdin if command.stdin is not None and known(command.stdin) else None
        parts = (text or "").strip("\n").split(None, max(0, len(names) - 1)) if text is not None else []
        for at, name in enumerate(names):
            self.scope.variables[name] = (
                (parts[at] if at < len(parts) else "") if text is not None else some("what it reads")
            )
            if command.feeds:
                self.scope.origins[f"${name}"] = tuple(command.feeds)

    def _written(self, redirect: Redirect, output: str | None, commands: Sequence[Command]) -> None:
        if redirect.kind not in ("write", "append") or redirect.target.startswith("/dev/"):
            return
        where = place(redirect.target, self.scope.cwd, self.scope.links).text
        before = self.scope.files.get(where) if redirect.kind == "append" else ""
        self.scope.files[where] = (
            None if output is None or (before is None and where in self.scope.files) else (before or "") + output
        )
        self.scope.origins[where] = tuple(commands)[-50:]

    def _files(self, command: Command, output: str | None) -> None:
        """Files that a command writes by its own arguments, as far as they may be run later."""
        name, args = command.name, [arg for arg in command.args if not arg.startswith("-")]
        if name in ("tee",):
            for arg in args:
                self._written(Redirect(kind="write", target=arg), output, [*command.feeds, command])
        elif name in ("curl", "wget", "aria2c", "http", "fetch"):
            for target in _download_targets(command):
                self._written(Redirect(kind="write", target=target), None, [command])
        elif name in ("cp", "mv", "ln", "install", "link") and len(args) == 2:
            self._copied(command, *args)
        elif name in ("scp", "rsync") and len(args) == 2 and ":" in args[0]:
            self._written(Redirect(kind="write", target=args[1]), None, [command])

    def _copied(self, command: Command, given: str, target: str) -> None:
        scope = self.scope
        start, end = place(given, scope.cwd, scope.links).text, place(target, scope.cwd).text
        if command.name in ("ln", "link"):
            linked = (
                start
                if given.startswith(("/", "~")) or "-s" not in command.args[0]
                else place(given, _folder(end)).text
            )
            scope.links = {**scope.links, end: linked}
        if start in scope.files:
            scope.files[end] = scope.files[start]
            scope.origins[end] = scope.origins.get(start, ())
        elif re.match(r"/(?:usr/)?(?:local/)?s?bin/", start):
            scope.files[end] = f'{program_name(start)} "$@"'

    # Words.

    def _words(self, node: Node | None) -> list[str]:
        return [] if node is None else spelled.finished(self._piece(node, quoted=False))

    def _piece(self, node: Node, *, quoted: bool) -> str:
        """A part of a word; characters that are quoted, and splits, are marked."""
        match node.type:
            case "raw_string":
                return self._text(node)[1:-1].translate(QUOTED)
            case "ansi_c_string":
                return spelled.ansi_c(self._text(node)[2:-1]).translate(QUOTED)
            case "string" | "translated_string":
                return self._string(node)
            case "simple_expansion":
                value = self._variable(self._text(node).strip()[1:])
                return self._space(node) + _placed(value, quoted, self.scope.variables.get("IFS", ""))
            case "expansion":
                return self._space(node) + _placed(self._expansion(node), quoted, self.scope.variables.get("IFS", ""))
            case "command_substitution":
                return self._space(node) + _placed(self._substituted(node), quoted)
            case "process_substitution":
                return self._process(node)
            case "arithmetic_expansion":
                self._children_run(node)
                return _arithmetic(self._text(node))
            case "array":
                return SPLIT.join(word for child in node.named_children for word in self._words(child))
            case "subshell" | "command" | "pipeline" | "list" | "redirected_statement":
                self._statement(node, Nothing)
                return ""
            case _:
                return self._joined(node, quoted=quoted) if node.named_child_count else self._plain(node, quoted)

    def _plain(self, node: Node, quoted: bool) -> str:
        text = self._text(node)
        return spelled.in_double_quotes(text) if quoted and node.type == "string_content" else spelled.unescaped(text)

    def _joined(self, node: Node, *, quoted: bool) -> str:
        """The pieces of a node, with the text between them."""
        if self._level > MAX_NESTING:
            self._work.note("it is nested too deeply to be read", self._text(node))
            return some("nested")
        self._level += 1
        out, at = "", node.start_byte
        for child in node.children:
            out += self._bytes(at, child.start_byte) + self._piece(child, quoted=quoted)
            at = child.end_byte
        self._level -= 1
        return out + self._bytes(at, node.end_byte)

    def _string(self, node: Node) -> str:
        out, children = "", [c for c in node.children if c.type not in ('"', '$"')]
        at = node.start_byte + (2 if self._text(node).startswith("$") else 1)
        for child in children:
            out += spelled.in_double_quotes(self._bytes(at, child.start_byte))
            text = child.type == "string_content" or not child.is_named
            out += spelled.in_double_quotes(self._text(child)) if text else self._piece(child, quoted=True)
            at = child.end_byte
        return out + spelled.in_double_quotes(self._bytes(at, max(at, node.end_byte - 1)))

    def _variable(self, name: str) -> str:
        scope = self.scope
        self._gathered += scope.origins.get(f"${name}", ())
        if name in ("@", "*"):
            return SPLIT.join(scope.positional or ())
        if name.isdigit() and name != "0":
            at = int(name) - 1
            if scope.positional is None:
                return some(f"argument {name}")
            return scope.positional[at] if at < len(scope.positional) else ""
        if name in ("?", "$", "!", "#", "-", "_", "RANDOM", "SECONDS", "LINENO", "UID", "EUID", "PPID"):
            return str(len(scope.positional or ())) if name == "#" else some(name)
        value = scope.value(name)
        return value.split(SPLIT)[0] if SPLIT in value else value

    def _expansion(self, node: Node) -> str:
        """`${…}` with whatever stands behind the name."""
        name, subscript, before, operator = "", "", "", ""
        arguments: list[Node] = []
        operators: list[str] = []
        for child in node.children:
            kind = child.type
            if kind in ("variable_name", "special_variable_name") and not name:
                name = self._text(child)
            elif kind == "subscript" and not name:
                name = self._text(child.child_by_field_name("name"))
                subscript = self._text(child.child_by_field_name("index"))
            elif not name and kind in ("!", "#"):
                before = kind
            elif not child.is_named and kind.strip() not in ("${", "}"):
                operators.append(kind)
            elif child.is_named:
                arguments.append(child)
        operator = operators[0] if operators else ""
        if not name:
            return some(self._text(node))
        if operator in ("}", ""):
            return self._value_of(name, subscript, before)
        return self._operated(name, self._value_of(name, subscript, before), operator, operators, arguments)

    def _value_of(self, name: str, subscript: str, before: str) -> str:
        if before == "!":
            target = self.scope.lookup(name)
            return self._variable(target) if target and target.isidentifier() else unset(name)
        if subscript:
            self._gathered += self.scope.origins.get(f"${name}", ())
            value = self.scope.value(name)
            if subscript in ("@", "*"):
                return value
            parts = value.split(SPLIT)
            return parts[int(subscript)] if subscript.isdigit() and int(subscript) < len(parts) else some(name)
        value = self._variable(name)
        return (str(len(value)) if known(value) else some(f"#{name}")) if before == "#" else value

    def _operated(
        self, name: str, value: str, operator: str, operators: Sequence[str], arguments: Sequence[Node]
    ) -> str:
        texts = [self._piece(argument, quoted=True) for argument in arguments]
        empty = value == "" or value == unset(name)
        match operator:
            case ":-" | "-" | ":=" | "=":
                if empty and "=" in operator:
                    self.scope.variables[name] = "".join(texts)
                return "".join(texts) if empty else value
            case ":+" | "+":
                return "" if empty else "".join(texts)
            case ":?" | "?":
                return some(name) if empty else value
            case _:
                if not known(value):
                    return value
                if operator == ":" and len(operators) > 1 and len(texts) < 2:
                    texts = [*texts, ""]
                result = spelled.changed(value, operator, texts)
                return some(name) if result is None else result

    def _substituted(self, node: Node) -> str:
        """What a command's output puts into a word."""
        start = len(self._work.commands)
        scope, self.scope = self.scope, self.scope.copy()
        gathered, self._gathered = self._gathered, []
        statements = [
            child for child in node.named_children if child.type not in _SILENT and "redirect" not in child.type
        ]
        redirects = [r for child in node.children if child.type == "file_redirect" for r in self._redirect(child)]
        output = self._several(statements, Nothing) if statements else None
        if not statements and redirects:
            where = place(redirects[0].target, scope.cwd, scope.links).text
            output = scope.files.get(where)
            self._work.add(
                Command(words=("cat", redirects[0].target), source=self._text(node), via=self._via, cwd=scope.cwd)
            )
        self.scope = scope
        inner = self._work.commands[start:]
        self._gathered = [*gathered, *inner]
        if output is None:
            return some(self._text(node))
        return output.rstrip("\n")[:MAX_VALUE]

    def _process(self, node: Node) -> str:
        """`<(…)`: a file whose content is a command's output."""
        start = len(self._work.commands)
        gathered, self._gathered = self._gathered, []
        output = self._several([c for c in node.named_children if c.type not in _SILENT], Nothing)
        inner = self._work.commands[start:]
        self._gathered = [*gathered, *inner]
        name = f"/dev/fd/{start}-{len(self._work.commands)}"
        if self._text(node).startswith("<"):
            self.scope.files[name] = output
            self.scope.origins[name] = tuple(inner)
        return name

    def _children_run(self, node: Node) -> None:
        for child in node.named_children:
            if child.type not in _LEAVES:
                self._piece(child, quoted=True)

    # Redirections.

    def _redirect(self, node: Node) -> list[Redirect]:
        if node.type == "herestring_redirect":
            texts = [
                self._piece(child, quoted=True) for child in node.named_children if child.type != "file_descriptor"
            ]
            return [Redirect(kind="text", text=_unmarked("".join(texts)) + "\n")]
        if node.type == "heredoc_redirect":
            inner = [r for child in node.children_by_field_name("redirect") for r in self._redirect(child)]
            return [Redirect(kind="text", text=self._heredoc(node)), *inner]
        operator = next((c.type for c in node.children if not c.is_named and c.type in _WAYS), "")
        targets = [word for child in node.children_by_field_name("destination") for word in self._words(child)]
        if operator in (">&", "<&") and all(re.fullmatch(r"\d*-?", target) for target in targets):
            return []
        return [Redirect(kind=_WAYS.get(operator, "write"), target=target) for target in targets]

    def _heredoc(self, node: Node) -> str:
        body = next((child for child in node.children if child.type == "heredoc_body"), None)
        start = next((child for child in node.children if child.type == "heredoc_start"), None)
        if body is None or start is None:
            return ""
        begin = self._source.rfind(b"\n", 0, body.start_byte) + 1
        begin = max(begin, self._source.find(b"\n", start.end_byte) + 1)
        text = self._bytes(min(begin, body.start_byte), body.end_byte)
        if any(child.type == "<<-" for child in node.children):
            text = re.sub(r"(?m)^\t+", "", text)
        plain = any(mark in self._text(start) for mark in "'\"\\")
        return text if plain else self._expanded(text)

    def _expanded(self, text: str) -> str:
        """An unquoted heredoc: like a text in double quotes."""
        if "$" not in text and "`" not in text:
            return _unmarked(spelled.in_double_quotes(text)) if "\\" in text else text
        quoted = '"' + re.sub(r'(?<!\\)"', r"\"", text) + '"'
        walker = Walker(self._work, self.scope, via=self._via, inside=self._where, active=self._active)
        walker._source, walker._level = quoted.encode(), self._level + 1
        self._work.characters += len(quoted)
        if self._work.characters > MAX_TOTAL:
            return some("heredoc")
        found = _first(self._work.parser.parse(walker._source).root_node, "string")
        out = text if found is None else _unmarked(walker._string(found))
        self._gathered += walker._gathered
        return out

    # What the parser did not understand.

    def _mend(self, root: Node) -> None:
        """Reads the lines of a syntax error once more, roughly: words between separators."""
        lines = self._source.decode("utf-8", "replace").split("\n")
        seen: set[int] = set()
        for node in _errors(root):
            if self._text(node).strip() in (">", "<", ";", "\\"):
                continue
            rows = range(node.start_point[0], min(node.end_point[0] + 1, node.start_point[0] + 50, len(lines)))
            text = "\n".join(lines[row][:20_000] for row in rows if row not in seen)
            seen.update(rows)
            if text.strip():
                self._work.note("the shell's grammar does not fit", text)
                self._rough(text)
            if len(seen) > 200:
                break

    def _rough(self, text: str) -> None:
        known_sources = {command.source for command in self._work.commands}
        for words in rough_commands(text):
            source = " ".join(words)
            if source not in known_sources:
                self._run(words, _Asked(source=source))

    def _text(self, node: Node | None) -> str:
        return "" if node is None else self._bytes(node.start_byte, node.end_byte)

    def _bytes(self, start: int, end: int) -> str:
        return self._source[start:end].decode("utf-8", "replace")

    def _space(self, node: Node) -> str:
        """White space that the parser took for the beginning of an expansion."""
        text = self._bytes(node.start_byte, node.start_byte + 64)
        return text[: len(text) - len(text.lstrip())]


_WAYS: Mapping[str, Any] = {
    "<": "read",
    "<&": "read",
    ">": "write",
    ">|": "write",
    "&>": "write",
    ">&": "write",
    ">>": "append",
    "&>>": "append",
}
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


def _globbed(word: str) -> str:
    """The program that a word such as `/bin/r?` means most likely."""
    from fnmatch import fnmatchcase

    pattern = word.rpartition("/")[2]
    return next((name for name in _GLOBBED if fnmatchcase(name, pattern)), word) if pattern != "*" else word


def _flat(node: Node) -> list[Node]:
    """The statements of a list, however deep the tree is."""
    out, stack = list[Any](), [node]
    while stack:
        top = stack.pop()
        if top.type == "list":
            stack.extend(reversed(top.named_children))
        else:
            out.append(top)
    return out


def _in_background(node: Node) -> bool:
    after = node.next_sibling
    return after is not None and after.type == "&"


def _many(loop: str) -> bool:
    """Whether a loop turns thousands of times, or without end."""
    return bool(re.search(r"(?:seq|\.\.)\s*(?:\d+\s+)?\d{4,}|;\s*;\s*\)\)|<=?\s*\d{5,}", loop))


def _placed(value: str, quoted: bool, separators: str = "") -> str:
    """A value as it stands in a word: its braces mean nothing, and outside of quotes its separators split it."""
    value = value.translate(QUOTED)
    if quoted:
        return value
    return re.sub(f"[{re.escape(separators)}]+" if separators else r"[ \t\n]+", SPLIT, value)


def _unmarked(text: str) -> str:
    return text.translate(UNQUOTED)


def _arithmetic(text: str) -> str:
    inner = text.removeprefix("$((").removesuffix("))").strip()
    if re.fullmatch(r"[\d\s+*()-]{1,60}", inner) and "**" not in inner:
        try:
            return str(eval(inner, {"__builtins__": {}}))
        except Exception:
            return some("a number")
    return some("a number")


def _as_variables(text: str) -> tuple[str, dict[str, str]]:
    """A script with marks in it, made readable: each mark becomes a variable that holds it."""
    from lockgate.policies.shell.model import SOME, SOME_END, UNSET, UNSET_END

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
    return INTERPRETERS.get(re.sub(r"(?<=[a-z])[\d.]+$", "", name), "sh")


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _download_targets(command: Command) -> Iterator[str]:
    args = command.args
    for at, arg in enumerate(args):
        if (
            arg in ("-o", "--output", "-O", "--output-document")
            and at + 1 < len(args)
            and (command.name != "curl" or arg != "-O")
        ):
            yield args[at + 1]
        elif arg.startswith("--output=") or arg.startswith("--output-document="):
            yield arg.partition("=")[2]
        elif re.fullmatch(r"-[a-zA-Z]*[oO]", arg) and at + 1 < len(args) and (arg[-1] == "o" or command.name == "wget"):
            yield args[at + 1]
    remote_name = command.name == "wget" or any(
        re.fullmatch(r"-[a-zA-Z]*O[a-zA-Z]*|--remote-name", arg) for arg in args
    )
    for arg in args if remote_name else ():
        if re.match(r"(?:https?|ftp)://", arg):
            yield arg.partition("?")[0].rstrip("/").rpartition("/")[2]


def _first(node: Node, kind: str) -> Node | None:
    for _ in range(8):
        if node.type == kind:
            return node
        if not node.named_child_count:
            return None
        node = node.named_children[0]
    return None


def _errors(root: Node) -> Iterator[Node]:
    stack, seen = [root], 0
    while stack and seen < 20_000:
        node = stack.pop()
        seen += 1
        if node.type == "ERROR" or node.is_missing:
            yield node
        elif node.has_error:
            stack.extend(reversed(node.children))


def rough_commands(text: str) -> Iterator[list[str]]:
    """The commands of a text that is no good shell: words between separators, quotes taken as far as they close."""
    words, word, quote, some_word = list[str](), "", "", False
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if quote:
            if letter == quote:
                quote = ""
            else:
                word += letter
        elif letter == "\\" and at < len(text):
            word, at, some_word = word + text[at], at + 1, True
        elif letter in "'\"" and letter in text[at:]:
            quote, some_word = letter, True
        elif letter in "'\"":
            continue
        elif letter in " \t":
            words, word, some_word = [*words, *(spelled.finished(word) if word or some_word else [])], "", False
        elif letter in "\n;|&()`":
            words = [*words, *(spelled.finished(word) if word or some_word else [])]
            if words:
                yield words
            words, word, some_word = [], "", False
        else:
            word += letter
            some_word = True
    words = [*words, *(spelled.finished(word) if word or some_word else [])]
    if words:
        yield words
