"""Real sockets: bind first, serve quietly, stop at once."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn

from emulators.app import build_app
from emulators.connections import LendingProtocol
from emulators.options import EmulatorOptions

BACKLOG = 1024


class QuietServer(uvicorn.Server):
    """A server that leaves signals to whoever runs it, and stops as soon as it is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Let `serve` end; open calls are cut."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Keep the date header right once a second until told to stop."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=1.0)


def bind(host: str, port: int) -> socket.socket:
    """Take the address before anything else is set up.

    Raises:
        OSError: it is taken, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Name the http address of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_for(options: EmulatorOptions) -> QuietServer:
    """Build the server of these options; it serves on sockets handed to `serve`."""
    return QuietServer(
        uvicorn.Config(
            build_app(options),
            http=LendingProtocol,
            ws="none",
            log_level="critical",
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=0,
        )
    )


@asynccontextmanager
async def running_emulators(options: EmulatorOptions) -> AsyncGenerator[str]:
    """Serve on this event loop while the block runs.

    Yields:
        The address, like http://127.0.0.1:40123; it answers at once.
    """
    listener = bind(options.host, options.port)
    server = server_for(options)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield address_of(listener)
    finally:
        server.stop()
        await serving
