"""What the API answers when it does not do what was asked: always the same shape, and never what was sent."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lockgate.admin.answering import Json
from lockgate.errors import AccessError, ConfigError, Conflict, Error, Missing, StorageError

logger = logging.getLogger("lockgate.admin")

_SHOWN = re.compile(r"[a-z_]{1,32}")
"""Names of fields. Others are the client's own, and could be a secret that went to the wrong place."""

CODES: Mapping[int, tuple[str, str]] = {
    400: ("malformed", "this is no HTTP request that can be read"),
    401: ("unauthorized", "log in, or show a key in the header Authorization: Bearer"),
    403: ("forbidden", "your role does not allow this"),
    404: ("not_found", "there is nothing here"),
    405: ("method_not_allowed", "this cannot be done here with this method"),
    408: ("too_slow", "the request took too long to come"),
    409: ("conflict", "something else stands against this"),
    412: ("changed", "it was changed meanwhile: look at it again"),
    413: ("too_large", "the request is larger than what is taken"),
    415: ("unsupported_media_type", "a request's body is application/json"),
    421: ("unknown_host", "this host is not known by that name"),
    422: ("unfit", "something in the request does not fit"),
    428: ("unconditional", "this needs the header If-Match, with the version that was read"),
    429: ("too_many", "too many attempts: wait"),
    431: ("head_too_large", "the head of the request is larger than what is taken"),
    500: ("failed", "something went wrong, and the log of the proxy says what"),
    503: ("unavailable", "the database, or something else that this needs, cannot be used just now"),
}
"""What a status is called, and its sentence where there is no better one."""

READS = (401, 403, 421, 422, 500, 503)
"""What a route that reads may answer instead."""
MAKES = (*READS, 400, 408, 409, 413)
CHANGES = (*MAKES, 404)


class Field_(BaseModel):
    """One thing that does not fit."""

    path: str = Field(examples=["grant.limits.concurrent"])
    message: str = Field(examples=["Input should be greater than 0"])


class Detail(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["not_found"])
    message: str = Field(examples=["there is nothing here"])
    fields: list[Field_] = []


class ErrorBody(BaseModel):
    """The one shape of every error."""

    error: Detail


class Problem(HTTPException):
    """Why a request is not served."""

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        code: str = "",
        fields: Sequence[Field_] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        usual_code, usual = CODES.get(status, ("failed", "this cannot be done"))
        super().__init__(status, message or usual, dict(headers or {}))
        self.code, self.message, self.fields = code or usual_code, message or usual, fields

    def response(self) -> Response:
        body = ErrorBody(error=Detail(code=self.code, message=self.message, fields=list(self.fields)))
        return Json(body.model_dump(mode="json"), self.status_code, self.headers)


def problem_of(error: Exception) -> Problem:
    """What to answer to whatever was raised; what nobody expected is for `lockgate.admin.guard`."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return Problem(error.status_code, headers=error.headers)
        case RequestValidationError():
            return Problem(422, fields=[_field(each) for each in error.errors()])
        case Missing():
            return Problem(404, "there is nothing by that name or id")
        case Conflict():
            return Problem(409, str(error))
        case AccessError():
            return Problem(403, str(error))
        case StorageError() | ConfigError():
            logger.error("%s", error)
            return Problem(503)
        case Error():
            return Problem(422, str(error))
        case _:
            return Problem(500)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its documentation."""
    return {status: {"model": ErrorBody, "description": CODES[status][1]} for status in sorted(statuses)}


def _field(detail: Any) -> Field_:
    """Where it is and what was expected; not what was there."""
    parts = [str(part) for part in detail["loc"] if part not in ("body", "query", "path", "header")]
    path = ".".join(part if _SHOWN.fullmatch(part) or part.isdecimal() else "…" for part in parts)
    return Field_(path=path, message=detail["msg"].removeprefix("Value error, "))
