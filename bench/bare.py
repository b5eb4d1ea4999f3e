"""Bare Temporal, to measure beside: a server and a worker with nothing of ours in them.

No ledger, no log, no HTTP, nothing bought: what a job takes here is the price of the platform.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from bench.bare_worker import QUEUE, FiveSteps
from deploy.embedded.children import Child, ChildPlan
from deploy.embedded.layout import LOOPBACK
from deploy.embedded.ports import find_free_port
from deploy.embedded.temporal_server import server_command, temporal_binary

ServerCommand = Callable[[int, int, Path], tuple[str, ...]]


def untuned_command(port: int, ui_port: int, database: Path) -> tuple[str, ...]:
    """Start the server as it comes, with its data in a file."""
    return (
        temporal_binary(),
        *("server", "start-dev", "--ip", LOOPBACK, "--log-level", "warn"),
        *("--port", str(port), "--ui-port", str(ui_port)),
        *("--db-filename", str(database)),
    )


def tuned_command(port: int, ui_port: int, database: Path) -> tuple[str, ...]:
    """Start the server as the embedded stack does."""
    return server_command(port=port, ui_port=ui_port, database=database)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """A running server with its worker."""

    client: Client
    pids: dict[str, int]

    async def run(self, number: int) -> None:
        """Start a job and wait until it is over."""
        await self.client.execute_workflow(
            FiveSteps.run, id=f"bare_{number}_{uuid.uuid4().hex}", task_queue=QUEUE
        )


@asynccontextmanager
async def running_bare(
    command: ServerCommand, *, var_dir: Path, worker: str = "bench.bare_worker"
) -> AsyncGenerator[Bare]:
    """Start a server with a fresh database, and a worker beside it.

    Args:
        command: of the server.
        var_dir: where its files go; must not exist.
        worker: the module that serves, given the address.

    Raises:
        NotReady: the server did not come up.
    """
    await asyncio.to_thread(var_dir.mkdir, parents=True)
    port, ui_port = find_free_port(), find_free_port()
    address = f"{LOOPBACK}:{port}"
    server = _server(command(port, ui_port, var_dir / "temporal.db"), address, var_dir)
    serving = _worker(worker, address, var_dir)
    try:
        await server.start()
        await serving.start()
        pids = {child.plan.name: child.pid for child in (server, serving) if child.pid}
        yield Bare(client=await Client.connect(address), pids=pids)
    finally:
        await serving.stop()
        await server.stop()


def _server(command: tuple[str, ...], address: str, log_dir: Path) -> Child:
    async def answers() -> bool:
        try:
            await Client.connect(address)
        except RuntimeError:
            return False
        return True

    plan = ChildPlan(name="temporal", command=command, is_ready=answers)
    return Child(plan, log_dir=log_dir)


def _worker(module: str, address: str, log_dir: Path) -> Child:
    async def at_once() -> bool:
        return True  # the first workflow waits for it

    command = (sys.executable, "-m", module, address)
    return Child(ChildPlan(name="worker", command=command, is_ready=at_once), log_dir=log_dir)
