"""`tool_strip`: takes tools out of requests before the model sees them, and refuses calls of them all the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Event, Request, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.definitions import Definition, definitions_in, objects
from lockgate.policies.without_tools import without

_SERVERS = ("mcp", "mcp_toolset")
"""The kinds that stand for all tools of a server, which the provider asks."""
_SEARCH = "web_search_options"
"""How a Chat request has the provider search the web."""


class Options(Section):
    """Which tools."""

    tools: list[str] = Field(min_length=1)
    """The names; `*` and `?` stand for any letters, upper and lower case are the same. `SERVER/NAME` names a tool of a
    namespace or MCP server. Tools of the provider's own go by their name or type, such as `web_search*`. An MCP server
    that the provider asks by itself goes by `SERVER/*` or `mcp__SERVER__*`, and with `mcp__*`."""
    keep: list[str] = Field(default_factory=list[str])
    """Of these tools, the ones that stay."""


class ToolStrip(Policy):
    """Takes tools out of requests, so that the model does not know of them, and refuses calls of them.

    What chooses among tools follows: a tool that has to be called, a list of those that may be. Nothing else changes,
    but a provider's cache of the prompt begins anew where the list of tools is another one than before.

    Example:
        tools: ["mcp__*", WebFetch, "web_search*"]
        keep: ["mcp__docs__*"]
    """

    Options = Options

    def __init__(self, options: Options, shared: None = None) -> None:
        super().__init__(options, shared)
        self._gone: frozenset[str] = frozenset()
        """The names by which only tools that were taken out are called."""

    async def on_request(self, request: Request, x: Exchange) -> Request:
        tools = list(definitions_in(request))
        gone = [tool for tool in tools if self._strips(tool)]
        document = self._without_hosted(request.document)
        if not gone:
            return request if document is request.document else request.with_document(document)
        kept = {tool.name for tool in tools if not self._strips(tool)}
        self._gone = frozenset(tool.name for tool in gone) - kept
        return request.with_document(without(document, gone, x.format, self._gone))

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if call.name in self._gone or self._named((call.name,)):
            raise Blocked(f"The tool {call.name[:100]} is not available here.")
        return (call,)

    def _strips(self, tool: Definition) -> bool:
        own = () if tool.kind in ("function", "custom") else (tool.kind,)
        server = _server_names(tool.name) if tool.kind in _SERVERS else ()
        return self._named((tool.name, tool.full_name, *own, *server))

    def _without_hosted(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document without what the provider runs and the list of tools does not name."""
        servers = [one for _, one in objects(document.get("mcp_servers"))]
        kept = [one for one in servers if not self._named(_server_names(str(one.get("name"))))]
        gone = {_SEARCH} if _SEARCH in document and self._named(("web_search", _SEARCH)) else set[str]()
        if len(kept) == len(servers) and not gone:
            return document
        gone |= {"mcp_servers"} if servers and not kept else set()
        changed = {**document, "mcp_servers": kept} if kept else document
        return {key: value for key, value in changed.items() if key not in gone}

    def _named(self, names: Sequence[str]) -> bool:
        options: Options = self.options
        return _any(options.tools, names) and not _any(options.keep, names)


def _server_names(server: str) -> tuple[str, ...]:
    return server, f"{server}/", f"mcp__{server}__"


def _any(globs: Iterable[str], names: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), glob.lower()) for glob in globs for name in names)
