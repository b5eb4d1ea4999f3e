"""Run the gateway: `python -m gateway`."""

import asyncio
import gc
import signal
import socket
import sys
from types import FrameType

import uvicorn

from darkroom.runtime.exits import leave
from darkroom.runtime.logs import configure_logs
from darkroom.settings import Settings
from gateway.app import build_app
from gateway.auth import development_keys
from gateway.live.server import MESSAGE_BYTES

WRONG_START = 2
FAILED_START = 3
BACKLOG = 2048
GRACE_SECONDS = 5
YOUNG_OBJECTS = 20_000  # allocated before a collection; Python's own choice is 700
DEAF_MILLISECONDS = 20_000


def main() -> None:
    """Serve until told to stop.

    Raises:
        ValueError: a setting makes no sense.
        OSError: the address cannot be listened on.
    """
    configure_logs()
    settings = Settings()
    settings.secret("signing_secret")
    listener = _listen(settings.ws_host, settings.ws_port)
    keys, made = development_keys(settings)
    for name, key in made.items():
        sys.stdout.write(f"{name} (this process only): {key}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        build_app(settings, keys),
        log_config=None,
        log_level="warning",  # not two lines for each socket
        access_log=False,
        server_header=False,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=None,  # Engine.IO has a heartbeat of its own
        ws_per_message_deflate=False,  # its windows cost more memory than small messages save
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    _settle_memory()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stay)
    asyncio.run(server.serve(sockets=[listener]))
    leave(0 if server.started else FAILED_START)


def _settle_memory() -> None:
    """Keep the garbage collector from pausing the sockets.

    What was imported stays for ever, and looking through it took 80 ms each time; with a
    thousand sockets a full collection takes 100 ms more, so it is made rare.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _stay(_number: int, _frame: FrameType | None) -> None:
    """Outlive the signal that uvicorn, stopped by it, raises once more at its end."""


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as refused:
        raise OSError(
            f"cannot listen on {host} port {port}: {refused.strerror}; free it, or set WS_HOST "
            "and WS_PORT"
        ) from refused
    if sys.platform == "linux":
        # Inherited by every connection: a peer that takes nothing for so long is cut off,
        # which ASGI has no way to ask for.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAF_MILLISECONDS)
    return listener


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as wrong:
        sys.stderr.write(f"gateway: {wrong}\n")
        leave(WRONG_START)
