"""Servers that tests start: a free port, an answer to wait for, and a sure end."""

import contextlib
import secrets
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager

import httpx

ASK_AGAIN_SECONDS = 0.02
UNHANDED_PORTS = range(20_000, 30_000)


def free_port() -> int:
    """Find a port that nobody listens on at this moment.

    It is not one of those that the system hands out by itself, so that no connection takes it
    before a server does.
    """
    with socket.socket() as probe:
        while True:
            port = UNHANDED_PORTS.start + secrets.randbelow(len(UNHANDED_PORTS))
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def announced_address(process: subprocess.Popen[bytes]) -> str:
    """Read the address that ends the first line a server writes.

    Raises:
        AssertionError: it ended without a word.
    """
    line = process.stdout.readline().decode() if process.stdout else ""
    if not line.strip():
        raise AssertionError(f"{process.args!r} announced no address; see its error output")
    return line.split()[-1]


def wait_for_answer(
    address: str, process: subprocess.Popen[bytes], *, within_seconds: float = 30.0
) -> None:
    """Wait until an address answers with any status.

    Raises:
        AssertionError: the process has ended, or the time is over.
    """
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with status {process.returncode}")
        try:
            httpx.get(address, timeout=1, trust_env=False)
        except httpx.TransportError:
            time.sleep(ASK_AGAIN_SECONDS)
        else:
            return
    raise AssertionError(f"{address} did not answer in {within_seconds} s")


@contextmanager
def ended(
    process: subprocess.Popen[bytes], *, patience_seconds: float = 5.0
) -> Generator[subprocess.Popen[bytes]]:
    """End a process after the block: first asked, then killed."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
