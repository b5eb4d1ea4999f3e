"""What can befall a caller's connection: it is reset, kept waiting, or fed blank by blank.

ASGI has no word for any of it, so the protocol class lends each request its transport.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "emulators.transport"
SLOW_PIECES = 20
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close sends RST


class LendingProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose requests carry their transport as the ASGI extension TRANSPORT."""

    def on_message_begin(self) -> None:
        """Add the extension to the scope that uvicorn has just made."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {
            TRANSPORT: {"transport": self.transport}
        }


async def reset_connection(request: Request) -> Response:
    """Cut the connection at once with an RST.

    Returns:
        A response nobody will receive, because an endpoint has to return one.

    Raises:
        RuntimeError: the app is not served by `emulators.serving`.
    """
    extension = request.scope.get("extensions", {}).get(TRANSPORT)
    if extension is None:
        raise RuntimeError("no transport to reset: serve the app with emulators.serving")
    transport = cast("asyncio.Transport", extension["transport"])
    connected = cast("socket.socket", transport.get_extra_info("socket"))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()
    await asyncio.sleep(0)  # uvicorn learns of the loss in the next turn of the loop
    return Response()


async def wait_for_hang_up(request: Request) -> Response:
    """Say nothing until the caller gives up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


async def blanks_before(body: bytes, *, seconds: float) -> AsyncIterator[bytes]:
    """Send a blank line now and then, as a queueing provider does, and the body at the end."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        yield b"\n"
        await asyncio.sleep(min(left, seconds / 10, 1.0))
    yield body


async def trickled(body: bytes, *, seconds: float) -> AsyncIterator[bytes]:
    """Send a body in small pieces over a while."""
    piece_bytes = -(-len(body) // SLOW_PIECES)
    for start in range(0, len(body), piece_bytes):
        await asyncio.sleep(seconds / SLOW_PIECES)
        yield body[start : start + piece_bytes]
