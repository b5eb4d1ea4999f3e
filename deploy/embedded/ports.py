"""Ports of the stack: say which one is taken, or find free ones."""

import socket
from dataclasses import replace

from deploy.embedded.layout import LOOPBACK, Layout


class PortTaken(Exception):
    """Somebody else listens there; the message names the variable that moves us."""


def check_ports(layout: Layout) -> None:
    """Refuse to start on a port that is in use.

    Raises:
        PortTaken: for the first such port.
    """
    for variable, port in layout.ports().items():
        if not is_free(port):
            raise PortTaken(
                f"port {port} is taken: stop what listens there, or choose another with "
                f"{variable}={port + 1000}"
            )


def with_free_ports(layout: Layout) -> Layout:
    """Replace the ports that are taken by free ones."""
    chosen = {
        name: port if is_free(port) else find_free_port()
        for name, port in layout.port_fields().items()
    }
    return replace(layout, **chosen)


def is_free(port: int) -> bool:
    """Say whether we could listen on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def find_free_port() -> int:
    """Ask the kernel for a port that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
