"""JSON answers of any text: what clients once sent may hold half a surrogate pair, which plain UTF-8 cannot say."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from lockgate.wire.document import dumps


class Json(JSONResponse):
    """`application/json`."""

    def render(self, content: Any) -> bytes:
        return dumps(content)
