"""A client that does not read costs little, and not for long."""

import asyncio
import socket

import pytest
from starlette.types import Receive, Scope, Send

from gateway.limits import SlowSocketLimit
from tests.support.builders import a_job_id
from tests.support.gateways import RunningGateway, serving, written_job
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

JOB = a_job_id(1)
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Flood:
    """Sends for ever, and notes how it ended."""

    def __init__(self) -> None:
        self.is_cancelled = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        await send({"type": "websocket.accept"})
        writing = asyncio.create_task(self._write(send))
        try:
            await receive()
        except asyncio.CancelledError:
            self.is_cancelled.set()
            raise
        finally:
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        while True:
            await send({"type": "websocket.send", "text": "x" * 65_536})


async def test_websocket_that_takes_nothing_is_dropped() -> None:
    """Neither its writer nor its reader is held up for longer than the limit."""
    flood = Flood()
    async with serving(SlowSocketLimit(flood, within_seconds=0.3)) as url:
        with _deaf_client(url, "/"):
            async with asyncio.timeout(10):
                await flood.is_cancelled.wait()


async def test_deaf_subscriber_does_not_hold_back_the_others(gateway: RunningGateway) -> None:
    """Whoever reads gets every number, while another reads nothing."""
    writer = await written_job(gateway.stores, job_id=JOB)
    with _deaf_client(gateway.url, "/socket.io/?EIO=4&transport=websocket") as deaf:
        await _opened(deaf)
        _say(deaf, '40/jobs,{"token":"ada-key"}')
        _say(deaf, f'42/jobs,0["subscribe",{{"jobId":"{JOB}"}}]')
        async with gateway.listening() as ear:
            await ear.subscribe(JOB)
            while writer.head < 3000:
                await writer.append(250)
            await eventually(lambda: len(ear.seqs(JOB)) == writer.head, what="every number")
            heard = ear.seqs(JOB)

    assert heard == list(range(1, writer.head + 1))


def _deaf_client(url: str, path: str) -> socket.socket:
    """Ask for a WebSocket with a tiny window, and read nothing."""
    host, port = url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((host, int(port)))
    client.sendall(HANDSHAKE.format(path=path).encode())
    return client


async def _opened(client: socket.socket) -> None:
    """Wait for the end of the handshake; what follows stays unread."""
    client.setblocking(False)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += await asyncio.get_running_loop().sock_recv(client, 1)


def _say(client: socket.socket, text: str) -> None:
    """Send one masked text frame."""
    content = text.encode()
    mask = b"\0\0\0\0"
    client.sendall(bytes([0x81, 0x80 | len(content)]) + mask + content)


@pytest.mark.parametrize("path", ["/socket.io/?EIO=3&transport=websocket", "/other"])
async def test_websocket_of_another_protocol_is_closed(gateway: RunningGateway, path: str) -> None:
    """Another protocol or address gets an end, not silence."""
    with _deaf_client(gateway.url, path) as client:
        client.setblocking(False)
        async with asyncio.timeout(10):
            answer = await asyncio.get_running_loop().sock_recv(client, 1000)

    assert b"101 Switching" not in answer
