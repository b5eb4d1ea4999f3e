"""DeepSeek's way of saying no: a status and one error shape."""

from collections.abc import Mapping
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

INVALID_REQUEST = "invalid_request_error"
TYPES = {
    400: INVALID_REQUEST,
    401: "authentication_error",
    402: "unknown_error",  # as seen in the wild, with code invalid_request_error
    422: INVALID_REQUEST,
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class RefusedChat(Exception):
    """The request cannot be taken on; nothing is accepted or billed.

    Args:
        status: the HTTP status to answer with.
        message: why.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def error_shape(code: int, message: str) -> Mapping[str, object]:
    """Shape the body of an error."""
    kind = TYPES.get(code, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": INVALID_REQUEST}}


async def answer_refused(_: Request, raised: Exception) -> Response:
    """Answer a refused request; the app calls this for every RefusedChat."""
    refused = cast("RefusedChat", raised)
    return JSONResponse(error_shape(refused.status, refused.message), refused.status)
