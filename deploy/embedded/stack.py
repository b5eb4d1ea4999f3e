"""`make up`: the whole stack under one supervisor, until Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from temporalio.service import RPCError

from darkroom.runtime.exits import leave
from darkroom.runtime.temporal import connect
from darkroom.settings import EmbeddedSettings
from deploy.embedded.children import Child, ChildPlan, NotReady
from deploy.embedded.layout import LOOPBACK, Layout, plan_layout
from deploy.embedded.ports import PortTaken, check_ports
from deploy.embedded.temporal_server import server_command

PYTHON = sys.executable
TAKEN_OR_BROKEN = 2


class Stack:
    """The processes of one stack, by name."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._children: dict[str, Child] = {}

    def child(self, name: str) -> Child:
        """Look one process up: temporal, emulators, worker, gateway."""
        return self._children[name]

    async def start(self, plan: ChildPlan) -> Child:
        """Start one more process and wait until it serves.

        Raises:
            NotReady: it did not come up.
        """
        child = Child(plan, log_dir=self.layout.log_dir)
        self._children[plan.name] = child
        await child.start()
        return child

    async def stop(self) -> None:
        """Stop every process, the last one first."""
        for child in reversed(self._children.values()):
            await child.stop()


@asynccontextmanager
async def running_stack(layout: Layout, settings: EmbeddedSettings) -> AsyncGenerator[Stack]:
    """Start every process, and stop them all in reverse order at the end.

    Raises:
        NotReady: a process did not come up.
    """
    layout.log_dir.mkdir(parents=True, exist_ok=True)
    stack = Stack(layout)
    try:
        await asyncio.gather(
            _migrate(layout), *(stack.start(plan) for plan in _below(layout, settings))
        )
        await asyncio.gather(
            stack.start(worker_plan(layout, settings)), stack.start(gateway_plan(layout, settings))
        )
        yield stack
    finally:
        await stack.stop()


async def _migrate(layout: Layout) -> None:
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "darkroom.store.migrate", layout.database_url),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise NotReady(f"the database could not be migrated:\n{errors.decode(errors='replace')}")


def _below(layout: Layout, settings: EmbeddedSettings) -> tuple[ChildPlan, ...]:
    """What the house stands on."""
    temporal = ChildPlan(
        name="temporal",
        command=server_command(
            port=layout.temporal_port,
            ui_port=layout.temporal_ui_port,
            database=layout.var_dir / "temporal.db",
        ),
        is_ready=_temporal_answers(layout),
    )
    return (temporal, _emulators(layout, settings)) if settings.use_emulators else (temporal,)


def _emulators(layout: Layout, settings: EmbeddedSettings) -> ChildPlan:
    flags = {
        "--host": LOOPBACK,
        "--port": layout.emulators_port,
        "--seed": settings.emulators_seed,
        "--chat-seconds": settings.emulators_chat_seconds,
        "--picture-seconds": settings.emulators_picture_seconds,
        "--picture-pixels": settings.emulators_picture_pixels,
    }
    words = (str(word) for pair in flags.items() for word in pair)
    return ChildPlan(
        name="emulators",
        command=(PYTHON, "-m", "emulators", *words),
        is_ready=_page_answers(f"{layout.emulators_url}/_control/health"),
    )


def worker_plan(layout: Layout, settings: EmbeddedSettings, *, name: str = "worker") -> ChildPlan:
    """Plan one worker; any number may run side by side."""
    return ChildPlan(
        name=name,
        command=(PYTHON, "worker.py"),
        environment=layout.environment(settings),
        is_ready=_always,
    )


def gateway_plan(
    layout: Layout, settings: EmbeddedSettings, *, name: str = "gateway", port: int | None = None
) -> ChildPlan:
    """Plan one gateway; any number may run side by side, each on its own port."""
    served = port or layout.gateway_port
    return ChildPlan(
        name=name,
        command=(PYTHON, "-m", "gateway"),
        environment=layout.environment(settings) | {"WS_PORT": str(served)},
        is_ready=_page_answers(f"http://{LOOPBACK}:{served}/readyz"),
    )


def _page_answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def asks() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return asks


def _temporal_answers(layout: Layout) -> Callable[[], Awaitable[bool]]:
    async def asks() -> bool:
        try:
            client = await connect(address=layout.temporal_address, namespace="default")
            return await client.service_client.check_health()
        except (RuntimeError, RPCError):
            return False

    return asks


async def _always() -> bool:
    return True


def describe(layout: Layout, settings: EmbeddedSettings) -> str:
    """Say where everything is, for a person who just started it."""
    lines = [
        f"  API and sockets   {layout.gateway_url}/v1  (Authorization: Bearer {layout.dev_key})",
        f"  for operators     the same with the key {layout.operator_key}",
        f"  API reference     {layout.gateway_url}/docs",
        f"  Temporal Web UI   {layout.temporal_ui_url}",
        f"  temporal CLI      .venv/bin/temporal --address {layout.temporal_address} workflow list",
    ]
    if settings.use_emulators:
        lines.append(f"  paid APIs         emulated at {layout.emulators_url}; no money is spent")
    lines.append(f"  logs and data     {layout.var_dir}")
    return "\n".join(lines)


async def main() -> int:
    """Run until a signal; answers the exit code."""
    settings = EmbeddedSettings()
    layout = plan_layout(settings)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        check_ports(layout)
        async with running_stack(layout, settings):
            sys.stdout.write(f"Darkroom is up. Ctrl-C stops it.\n{describe(layout, settings)}\n")
            sys.stdout.flush()
            await stop.wait()
            sys.stdout.write("stopping\n")
    except (PortTaken, NotReady) as error:
        sys.stderr.write(f"make up: {error}\n")
        return TAKEN_OR_BROKEN
    return 0


if __name__ == "__main__":
    leave(asyncio.run(main()))
