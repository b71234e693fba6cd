"""The console's own files, read once: scripts, styles, pictures. Addresses name their digest: browsers keep them."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from lockgate.admin.acts import ActRoute
from lockgate.admin.answering import takes_gzip
from lockgate.admin.identity import anyone
from lockgate.admin.problems import Problem

router = APIRouter(route_class=ActRoute)

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: its bytes, what they are, and what tells them from other bytes."""

    content: bytes
    packed: bytes
    """With gzip."""
    type: str
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """All of them, by their path below `static`."""
    return dict(_below(files("lockgate.admin.console") / "static", ""))


def url_of(name: str) -> str:
    """Where a page finds a file. Raises KeyError for one that is not there."""
    return f"/static/{name}?v={assets()[name].digest}"


@router.get("/static/{name:path}", name="static", include_in_schema=False, dependencies=[Depends(anyone)])
async def static(name: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
    """One file; the pages that name it are for administrators, it itself is for all."""
    asset = assets().get(name)
    if asset is None:
        raise Problem(404)
    headers = {
        "cache-control": "public, max-age=31536000, immutable", "etag": f'"{asset.digest}"', "vary": "accept-encoding",
    }  # fmt: skip
    if not takes_gzip(accept_encoding):
        return Response(asset.content, headers=headers, media_type=asset.type)
    return Response(asset.packed, headers=headers | {"content-encoding": "gzip"}, media_type=asset.type)


def _below(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _below(each, f"{prefix}{each.name}/")
        elif (type := TYPES.get(each.name.rpartition(".")[2])) is not None:
            content = each.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found.append((f"{prefix}{each.name}", Asset(content, gzip.compress(content, mtime=0), type, digest)))
    return found
