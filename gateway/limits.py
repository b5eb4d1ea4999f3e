"""Caps on what a client may send and how slowly it may read, before anybody else sees it."""

import asyncio

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import TOO_LARGE, Problem, problem_response

log = structlog.get_logger()

JSON_BYTES = 1024 * 1024
MULTIPART_BYTES = 64 * 1024  # boundaries and headers around the one file
SEND_WITHIN_SECONDS = 10.0


class BodyLimit:
    """Ends a request whose body is larger than its address takes; nothing is kept of it."""

    def __init__(self, app: ASGIApp, *, file_bytes: int) -> None:
        self._app = app
        self._file_bytes = file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await problem_response(_too_large(limit))(scope, receive, send)
            return
        await self._app(scope, _Counting(receive, limit), send)

    def _limit(self, path: str) -> int:
        is_upload = path.rstrip("/") == "/v1/files"
        return self._file_bytes + MULTIPART_BYTES if is_upload else JSON_BYTES


class _Counting:
    """Counts a body that did not announce its length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            # FastAPI lets only this kind through while it reads a body.
            raise HTTPException(TOO_LARGE.status, detail=_too_large(self._limit).detail)
        return message


class SlowSocketLimit:
    """Drops a WebSocket whose client does not take one message within some seconds.

    Without it a stalled client would keep its writer, and what waits for it, until a ping
    is missed.
    """

    def __init__(self, app: ASGIApp, *, within_seconds: float = SEND_WITHIN_SECONDS) -> None:
        self._app = app
        self._within_seconds = within_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        serving = asyncio.current_task()
        is_dropped = False

        async def send_in_time(message: Message) -> None:
            nonlocal is_dropped
            try:
                async with asyncio.timeout(self._within_seconds):
                    await send(message)
            except TimeoutError:
                if serving and not is_dropped:
                    log.warning("slow_socket_dropped", within_seconds=self._within_seconds)
                    serving.cancel()
                is_dropped = True
                raise

        try:
            await self._app(scope, receive, send_in_time)
        except asyncio.CancelledError:
            if not is_dropped:
                raise


def _too_large(limit: int) -> Problem:
    return Problem(
        TOO_LARGE,
        f"the body is larger than the {limit} bytes this address takes",
        remedy=f"send at most {limit} bytes",
    )
