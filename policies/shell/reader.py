"""What every part of the reader of a script knows. Nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from lockgate.policies.shell.inner import Where
from lockgate.policies.shell.model import Command, Redirect
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.scope import Scope
from lockgate.policies.shell.work import Feed, Node, Work


class Reader:
    """One script being read: its text, its scope, and where it stands among the others."""

    def __init__(
        self,
        work: Work,
        scope: Scope,
        *,
        via: Sequence[str] = (),
        inside: Where = "",
        active: frozenset[str] = frozenset(),
    ) -> None:
        self._work, self.scope, self._via = work, scope, tuple(via)
        self._where: Where = inside
        self._active = active
        """The functions and aliases that are running."""
        self._source = b""
        self._level: int = 0
        self._aside = self._aside_here = False
        """Whether what runs now runs in the background or in a pipe."""
        self._spawning = False
        """Whether what runs now runs so often that, in the background, it would exhaust the machine."""
        self._gathered: list[Command] = []
        """The commands whose output the words being read hold."""

    def fresh(self, source: str) -> Self:
        """A reader of another text in the same place."""
        other = type(self)(self._work, self.scope, via=self._via, inside=self._where, active=self._active)
        other._source, other._level, other._aside = source.encode(), self._level + 1, self._aside
        return other

    def _statement(self, node: Node, feed: Feed, redirects: Sequence[Redirect] = ()) -> str | None:
        """Reads a statement; gives back what it prints, where that is known."""
        raise NotImplementedError

    def _into(self, feed: Feed, redirects: Sequence[Redirect]) -> Feed:
        """What a compound command reads."""
        text = next((r.text for r in reversed(redirects) if r.kind == "text"), None)
        if text is not None:
            return Feed(text, True, ())
        if (given := next((r.target for r in reversed(redirects) if r.kind == "read"), "")) and self.scope.files:
            where = place(given, self.scope.cwd, self.scope.links).text
            if where in self.scope.files:
                return Feed(self.scope.files[where], True, self.scope.origins.get(where, ()))
        return feed

    def _several(
        self, nodes: Sequence[Node], feed: Feed, redirects: Sequence[Redirect] = (), writes: Sequence[Redirect] = ()
    ) -> str | None:
        """Reads statements one after the other; gives back what they print, where that is known."""
        raise NotImplementedError

    def script(self, text: str, feed: Feed) -> str | None:
        """Reads a whole script; gives back what it prints, where that is known."""
        raise NotImplementedError

    def _text(self, node: Node | None) -> str:
        return "" if node is None else self._bytes(node.start_byte, node.end_byte)

    def _bytes(self, start: int, end: int) -> str:
        return self._source[start:end].decode("utf-8", "replace")

    def _space(self, node: Node) -> str:
        """White space that the parser took for the beginning of an expansion."""
        text = self._bytes(node.start_byte, node.start_byte + 64)
        return text[: len(text) - len(text.lstrip())]
