"""A server that says exactly the bytes a test wrote for it, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.waiting import eventually

HEAD_END = b"\r\n\r\n"
HANG_UP = b"Connection: close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came."""

    head: str  # request line and headers
    body: bytes

    @property
    def path(self) -> str:
        """The target of the request line."""
        return self.head.split(" ", 2)[1]

    def header(self, wanted: str) -> str | None:
        """Find a header by its name in any case."""
        for line in self.head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == wanted.lower():
                return value.strip()
        return None


Says = Callable[[Received], bytes]


@dataclass(slots=True)
class ScriptedServer:
    """What a server says, and what it saw."""

    says: Says
    port: int = 0
    connection_count: int = 0
    received_bytes: int = 0
    requests: list[Received] = field(default_factory=list[Received])
    open_connections: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def address(self, path: str = "", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Name an address of this server."""
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection; hang up after nothing, or where it says so."""
        self.connection_count += 1
        self.open_connections.add(writer)
        try:
            while request := await self._read_request(reader):
                self.requests.append(request)
                answer = self.says(request)
                writer.write(answer)
                await writer.drain()
                if not answer or HANG_UP in answer:
                    break
        except ConnectionError:
            pass
        finally:
            self.open_connections.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self.open_connections:
            writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> Received | None:
        received = bytearray()
        while HEAD_END not in received:
            if not await self._read_into(received, reader):
                return None
        head, _, body = bytes(received).partition(HEAD_END)
        request = Received(head=head.decode("latin-1"), body=body)
        rest = bytearray(body)
        while len(rest) < int(request.header("content-length") or 0):
            if not await self._read_into(rest, reader):
                return None
        return Received(head=request.head, body=bytes(rest))

    async def _read_into(self, received: bytearray, reader: asyncio.StreamReader) -> bool:
        piece = await reader.read(65536)
        self.received_bytes += len(piece)
        received += piece
        return bool(piece)


def answer_bytes(
    status: int, content: bytes = b"", *, headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Write an HTTP answer; a Content-Length among the headers replaces the true one."""
    names = {name.lower() for name, _ in headers}
    length = [] if "content-length" in names else [("Content-Length", str(len(content)))]
    lines = [f"{name}: {value}" for name, value in [*length, *headers]]
    return "\r\n".join([f"HTTP/1.1 {status} Scripted", *lines, "", ""]).encode("latin-1") + content


@asynccontextmanager
async def scripted_server(says: Says) -> AsyncGenerator[ScriptedServer]:
    """Serve on a free port while the block runs.

    Args:
        says: given a request, writes the whole answer; nothing hangs up.
    """
    scripted = ScriptedServer(says=says)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        scripted.hang_up()
        await eventually(lambda: not scripted.open_connections, what="the end of every connection")
