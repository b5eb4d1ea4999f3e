"""The provider's envelope: HTTP 200 whose body carries the true code."""

from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SUCCESS = 200
NO_ACCESS = 401
NO_CREDITS = 402
NOT_FOUND = 404
INVALID = 422
SERVER_ERROR = 500


class RefusedPicture(Exception):
    """The call is answered with an error code; nothing is accepted or billed.

    Args:
        code: the code in the envelope.
        message: why.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def envelope(code: int, message: str, content: Any = None) -> Mapping[str, Any]:
    """Wrap an answer."""
    return {"code": code, "msg": message, "data": content}


def success(content: Any) -> JSONResponse:
    """Answer what was asked."""
    return JSONResponse(envelope(SUCCESS, "success", content))


async def answer_refused(_: Request, raised: Exception) -> Response:
    """Answer a refused call with HTTP 200; the app calls this for every RefusedPicture."""
    refused = cast("RefusedPicture", raised)
    return JSONResponse(envelope(refused.code, refused.message))
