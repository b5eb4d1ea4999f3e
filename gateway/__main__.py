"""Run the gateway: `python -m gateway`."""

import asyncio
import socket
import sys

import uvicorn

from darkroom.runtime.exits import leave
from darkroom.runtime.logs import configure_logs
from darkroom.settings import Settings
from gateway.app import build_app
from gateway.auth import development_key
from gateway.live.server import MESSAGE_BYTES

WRONG_START = 2
FAILED_START = 3
BACKLOG = 2048
GRACE_SECONDS = 5


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
    keys, made = development_key(settings)
    if made:
        sys.stdout.write(f"development key (this process only): {made}\n")
        sys.stdout.flush()
    config = uvicorn.Config(
        build_app(settings, keys),
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=None,  # Engine.IO has a heartbeat of its own
        ws_per_message_deflate=False,  # its windows cost more memory than small messages save
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    asyncio.run(server.serve(sockets=[listener]))
    leave(0 if server.started else FAILED_START)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as refused:
        raise OSError(
            f"cannot listen on {host} port {port}: {refused.strerror}; free it, or set WS_HOST "
            "and WS_PORT"
        ) from refused


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as wrong:
        sys.stderr.write(f"gateway: {wrong}\n")
        leave(WRONG_START)
