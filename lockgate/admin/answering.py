"""How answers are written: JSON of any text, lists with a name for their content, and what is sent compressed.

What clients once sent may hold half a surrogate pair, which plain UTF-8 cannot say. By the length of what is compressed
an attacker guesses a secret that stands beside a text of theirs (BREACH): the only one in an answer is the CSRF token,
which is another text each time (`lockgate.admin.identity`). Streams are not compressed: events would wait.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate.wire.document import dumps

PACKED_BYTES = 1_000
"""What is shorter goes as it is."""
LEVEL = 5


class Json(JSONResponse):
    """`application/json`."""

    def render(self, content: Any) -> bytes:
        return dumps(content)


def tagged(request: Request, page: BaseModel) -> Response:
    """A list with the name of its content (ETag); without its content where the client has that already."""
    answer = Json(page.model_dump())
    tag = f'W/"{hashlib.sha256(answer.body).hexdigest()[:32]}"'  # the same compressed and not
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return packed(request, answer)


def packed[Answer: Response](request: Request, answer: Answer) -> Answer:
    """The answer compressed, where the client takes that."""
    answer.headers["vary"] = "accept-encoding"
    if len(answer.body) >= PACKED_BYTES and takes_gzip(request.headers.get("accept-encoding", "")):
        answer.body = gzip.compress(answer.body, LEVEL, mtime=0)
        answer.headers["content-encoding"] = "gzip"
        answer.headers["content-length"] = str(len(answer.body))
    return answer


def takes_gzip(accepted: str) -> bool:
    """Whether this `accept-encoding` names gzip, and does not give it the weight 0."""
    for each in accepted.lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").rstrip(".0") != "q="
    return False
