"""What models, clients and tools wrote, as HTML that runs nothing and asks nobody for anything. Nothing here reads.

Markdown is read without HTML and without images; a link leads to http(s) only, and says to which host.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape

from lockgate.storage.readable import plain
from lockgate.wire.blocks import Block
from lockgate.wire.document import WireError, loads

MARKDOWN_CHARACTERS = 20_000
"""A longer text is shown as it is: reading Markdown takes time."""
SUMMARY_CHARACTERS = 100
DATA_CHARACTERS = 100_000
PICTURES = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*")
STORED = re.compile(r"(?:data:[^,]{0,200};base64,)?sha256:([0-9a-f]{64})")

type Env = MutableMapping[str, Any]


def markdown(text: str) -> Markup:
    """A text of a model's."""
    if len(text) > MARKDOWN_CHARACTERS:
        return Markup('<p class="as-is">{}</p>').format(plain(text))
    env: dict[str, Any] = {}
    tokens = _MARKDOWN.parse(plain(text), env)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):  # the page has headings of its own
            token.tag = "p"
            token.attrs = {"class": "heading"}
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, env))


def host_of(url: str) -> str:
    """Where a link leads; "" for what is no link to the web."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme.lower() in ("http", "https") else ""
    except ValueError:
        return ""


def picture(block: Block) -> str:
    """Where a page finds an image: a stored file, or a small one in the message; "" for all else."""
    if found := STORED.fullmatch(block.source):
        return f"/files/{found[1]}"
    fits = len(block.source) <= DATA_CHARACTERS and PICTURES.fullmatch(block.source)
    return block.source if fits else ""


def gist(block: Block) -> str:
    """A call in a few words: the first text among its arguments."""
    try:
        found: Any = loads(block.text)
    except WireError:
        found = block.text
    for _ in range(4):
        values = _values(found)
        found = next((value for value in values if isinstance(value, str) and value), values[0] if values else found)
    line = " ".join(str(found if found is not None else "").split())
    return line if len(line) <= SUMMARY_CHARACTERS else line[:SUMMARY_CHARACTERS] + " …"


def _values(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(cast(dict[str, Any], node).values())
    return cast(list[Any], node) if isinstance(node, list) else []


def _link_open(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Env) -> str:
    host = host_of(str(tokens[at].attrs.get("href", "")))
    closing = next((token for token in tokens[at:] if token.type == "link_close"), None)
    if closing is not None:
        closing.meta = {"host": host}
    tokens[at].attrs["rel"] = "noreferrer nofollow"
    return renderer.renderToken(tokens, at, options, env)


def _link_close(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Env) -> str:
    return str(Markup('</a> <span class="quiet">({})</span>').format(escape(tokens[at].meta.get("host", ""))))


def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    reader.validateLink = lambda url: bool(host_of(url))  # type: ignore[method-assign]
    reader.add_render_rule("link_open", _link_open)
    reader.add_render_rule("link_close", _link_close)
    return reader


_MARKDOWN = _reader()
