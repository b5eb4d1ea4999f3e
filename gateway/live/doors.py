"""The way in to Engine.IO, closed before a crowd costs anything.

A connection is counted, and told why it is refused, only once it joins our namespace. This
bounds what may stand before that.
"""

from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import TOO_MANY_CONNECTIONS, Problem, problem_response

PATH = "/socket.io"
ROOM_TO_REFUSE = 50  # connections beyond the limit that may still hear the reason


class Doors:
    """Turns fresh connections away while too many are open, joined or not."""

    def __init__(self, app: ASGIApp, *, server: Any, most: int) -> None:
        self._app = app
        self._server = server
        self._most = most + ROOM_TO_REFUSE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if not self._is_fresh(scope) or len(self._server.eio.sockets) < self._most:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            await problem_response(_crowded(self._most))(scope, receive, send)

    def _is_fresh(self, scope: Scope) -> bool:
        if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(PATH):
            return False
        return "sid" not in parse_qs(scope["query_string"].decode("latin-1"))


def _crowded(most: int) -> Problem:
    return Problem(
        TOO_MANY_CONNECTIONS,
        f"more than {most} connections are open",
        remedy="try again later, or at another gateway",
        headers={"Retry-After": "5"},
    )
