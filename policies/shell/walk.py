"""Goes through a parsed script in the order it would run, and keeps what it would start. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lockgate.policies.shell.lines import parsed
from lockgate.policies.shell.model import SPLIT, Command, Redirect, known, some
from lockgate.policies.shell.rough import errors_in, redirected, rough_commands
from lockgate.policies.shell.start import Starter
from lockgate.policies.shell.work import (
    LEAVES,
    MAX_NESTING,
    MAX_SCRIPTS,
    MAX_TEXT,
    MAX_TOTAL,
    MAX_TURNS,
    MAX_VALUE,
    SILENT,
    Asked,
    Feed,
    Node,
    Nothing,
)

_RUN_INTO = frozenset({
    *("program", "do_group", "compound_statement", "if_statement", "else_clause", "elif_clause", "ERROR", "subshell"),
    *("case_item", "negated_command", "c_style_for_statement", "test_command", "binary_expression", "unary_expression"),
    *("parenthesized_expression", "ternary_expression", "postfix_expression"),
})  # fmt: skip


class Walker(Starter):
    """Reads one script. Those inside of it have walkers of their own, which share its `Work`."""

    def script(self, text: str, feed: Feed) -> str | None:
        """Reads a whole script; gives back what it prints, where that is known."""
        work = self._work
        work.characters += len(text)
        work.scripts += 1
        if len(text) > MAX_TEXT or work.characters > MAX_TOTAL or len(self._via) > MAX_SCRIPTS or work.scripts > 500:
            work.note("it is too long or too deeply nested to be read", text)
            return None
        root, self._source = parsed(work, text.encode())
        if root is None:
            work.note("it takes too long to be parsed", text)
            self._rough(text[:20_000])
            return None
        output = self._statement(root, feed)
        if root.has_error:
            self._mend(root)
        return output

    def run(self, words: Sequence[str]) -> None:
        """Reads one command whose words are known."""
        self._run(words, Asked(source=" ".join(words)))

    def _statement(self, node: Node, feed: Feed, redirects: Sequence[Redirect] = ()) -> str | None:
        if self._level > MAX_NESTING:
            self._work.note("it is nested too deeply to be read", self._text(node))
            return None
        if self._work.full:
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
            case "for_statement":
                return self._loop(node, self._into(feed, redirects))
            case "while_statement":
                return self._while(node, self._into(feed, redirects))
            case "case_statement":
                self._words(node.child_by_field_name("value"))
                items = [child for child in node.named_children if child.type == "case_item"]
                return self._several(items, self._into(feed, redirects))
            case kind if kind in _RUN_INTO:
                return self._several(node.named_children, self._into(feed, redirects), writes=redirects)
            case _:
                return self._names(node)

    def _names(self, node: Node) -> str:
        """What sets or defines names, and prints nothing; or an expression, of which only what it substitutes runs."""
        match node.type:
            case "variable_assignment":
                self._assign(node)
            case "variable_assignments" | "declaration_command":
                self._declare(node)
            case "unset_command":
                names = [self._text(child) for child in node.named_children]
                for name in names:
                    self.scope.variables.pop(name, None)
                self._work.add(Command(words=("unset", *names), source=self._text(node), via=self._via))
            case "function_definition":
                self._define(node)
            case kind if kind in SILENT or kind in LEAVES or not node.is_named:
                pass
            case _:
                self._words(node)
        return ""

    def _several(
        self, nodes: Sequence[Node], feed: Feed, redirects: Sequence[Redirect] = (), writes: Sequence[Redirect] = ()
    ) -> str | None:
        output: str | None = ""
        start = len(self._work.commands)
        for at, node in enumerate(nodes):
            self._aside_here = self._in_background(node)
            aside, self._aside = self._aside, self._aside or self._aside_here
            last = at == len(nodes) - 1
            printed = self._statement(node, feed, redirects if last else ())
            self._aside = aside
            output = None if printed is None or output is None else (output + printed)[:MAX_VALUE]
        for redirect in writes:
            self._written(redirect, output, self._work.commands[start:])
        return output

    def _in_background(self, node: Node) -> bool:
        """Whether `&` follows; the tree would have to be searched from its root for that."""
        after = self._source[node.end_byte : node.end_byte + 16].lstrip(b" \t")
        return after.startswith(b"&") and not after.startswith((b"&&", b"&>"))

    def _pipeline(self, node: Node, feed: Feed, redirects: Sequence[Redirect]) -> str | None:
        return self._piped([c for c in node.named_children if c.type not in SILENT], feed, redirects)

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
            output = self._run([], Asked(source=self._text(node), feed=feed, redirects=redirects))
        elif body.type == "command":
            output = self._simple(body, feed, redirects, arguments)
        else:
            for given in (r.target for r in redirects if r.kind == "read"):
                self._work.add(
                    Command(words=("cat", given), source=self._text(node)[:300], via=self._via, cwd=self.scope.cwd)
                )
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
            pairs = [word.partition("=") for word in words[1:]]
            set_here = {name: value for name, _, value in pairs}
            self._work.add(Command(words=words, source=self._text(node), via=self._via, assignments=set_here))
        elif words[:1] == ["export"] or self._text(node).split()[1:2] == ["-p"]:
            self._work.add(Command(words=tuple(self._text(node).split()[:20]), source=self._text(node), via=self._via))
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

    def _mend(self, root: Node) -> None:
        """Reads the lines of a syntax error once more, roughly: words between separators."""
        lines = self._source.decode("utf-8", "replace").split("\n")
        seen: set[int] = set()
        for node in errors_in(root):
            if self._text(node).strip() in (">", "<", ";", "\\"):
                if node.parent is not None and node.parent.type.endswith("_redirect"):
                    end = self._source.find(b"\n", node.end_byte)  # what follows a heredoc on its line
                    rest = self._source[node.end_byte : end if end >= 0 else None].decode("utf-8", "replace")
                    self.fresh("").script(rest, Nothing)
                continue
            rows = range(node.start_point[0], min(node.end_point[0] + 1, node.start_point[0] + 50, len(lines)))
            text = "\n".join(lines[row][:20_000] for row in rows if row not in seen)
            seen.update(rows)
            if (plain := _BRACED.sub(lambda m: f"{m[1]}{m[2].replace(',', ' ')} ", text)) != text:
                self.fresh("").script(plain, Nothing)
            elif text.strip():
                self._work.note("the shell's grammar does not fit", text)
                self._rough(text)
            if len(seen) > 200:
                break

    def _rough(self, text: str) -> None:
        known_sources = {command.source for command in self._work.commands}
        for words in rough_commands(text):
            source = " ".join(words)
            if source not in known_sources:
                plain, redirects = redirected(words)
                self._run(plain, Asked(source=source, redirects=redirects))


_BRACED = re.compile(r"((?:^|[|;&(])\s*)\{([\w./+-]+(?:,[^{}\s]*)?)\}")
"""A command that is written as one word in braces, which the grammar does not know."""


def _flat(node: Node) -> list[Node]:
    """The statements of a list, however deep the tree is."""
    out, stack = list[Node](), [node]
    while stack:
        top = stack.pop()
        if top.type == "list":
            stack.extend(reversed(top.named_children))
        else:
            out.append(top)
    return out


def _many(loop: str) -> bool:
    """Whether a loop turns thousands of times, or without end."""
    return bool(re.search(r"(?:seq|\.\.)\s*(?:\d+\s+)?\d{4,}|;\s*;\s*\)\)|<=?\s*\d{5,}", loop))
