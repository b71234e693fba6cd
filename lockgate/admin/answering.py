"""JSON answers of any text: what clients once sent may hold half a surrogate pair, which plain UTF-8 cannot say."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate.wire.document import dumps


class Json(JSONResponse):
    """`application/json`."""

    def render(self, content: Any) -> bytes:
        return dumps(content)


def tagged(request: Request, page: BaseModel) -> Response:
    """A list with the name of its content (ETag); without its content where the client has that already."""
    answer = Json(page.model_dump())
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return answer
