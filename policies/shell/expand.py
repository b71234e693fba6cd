"""Words and what the shell puts into them: variables, parameters, output of commands."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lockgate.policies.shell import words as spelled
from lockgate.policies.shell.model import SPLIT, Command, Redirect, known, some, unquoted, unset
from lockgate.policies.shell.model import quoted as quoted_text
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.reader import Reader
from lockgate.policies.shell.work import LEAVES, MAX_NESTING, MAX_VALUE, SILENT, Node, Nothing

_INDEX = re.compile(r"^\[\w*\]=")
"""Before a member of an array, its place."""


class Expander(Reader):
    """Reads words."""

    def _words(self, node: Node | None) -> list[str]:
        return [] if node is None else spelled.finished(self._piece(node, quoted=False))

    def _value(self, node: Node) -> str:
        if node.type == "array":
            words = [word for child in node.named_children for word in self._words(child)]
            return SPLIT.join(_INDEX.sub("", word) if word[:1] == "[" else word for word in words)
        return unquoted(self._piece(node, quoted=True))

    def _piece(self, node: Node, *, quoted: bool) -> str:
        """A part of a word; characters that are quoted, and splits, are marked."""
        match node.type:
            case "raw_string":
                return quoted_text(self._text(node)[1:-1])
            case "ansi_c_string":
                return quoted_text(spelled.ansi_c(self._text(node)[2:-1]))
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
        if self._level > MAX_NESTING:
            self._work.note("it is nested too deeply to be read", name)
            return some(name)
        self._level += 1
        texts = [self._piece(argument, quoted=True) for argument in arguments]
        self._level -= 1
        empty = value in ("", unset(name)) or (name.isdigit() and self.scope.positional is None)
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
            child for child in node.named_children if child.type not in SILENT and "redirect" not in child.type
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
        output = self._several([c for c in node.named_children if c.type not in SILENT], Nothing)
        inner = self._work.commands[start:]
        self._gathered = [*gathered, *inner]
        name = f"/dev/fd/{start}-{len(self._work.commands)}"
        if self._text(node).startswith("<"):
            self.scope.files[name] = output
            self.scope.origins[name] = tuple(inner)
        return name

    def _children_run(self, node: Node) -> None:
        for child in node.named_children:
            if child.type not in LEAVES:
                self._piece(child, quoted=True)

    def _redirect(self, node: Node) -> list[Redirect]:
        """What a redirection is; one may be several words."""
        raise NotImplementedError


def _placed(value: str, quoted: bool, separators: str = "") -> str:
    """A value as it stands in a word: its braces mean nothing, and outside of quotes its separators split it."""
    value = quoted_text(value)
    if quoted:
        return value
    own = re.escape(quoted_text(separators))
    return re.sub(f"[{own}]+" if own else r"[ \t\n]+", SPLIT, value)


def _arithmetic(text: str) -> str:
    inner = text.removeprefix("$((").removesuffix("))").strip()
    if re.fullmatch(r"[\d\s+*()-]{1,60}", inner) and "**" not in inner:
        try:
            return str(eval(inner, {"__builtins__": {}}))
        except Exception:
            return some("a number")
    return some("a number")
