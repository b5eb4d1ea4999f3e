"""Keep the processes of the stack alive: start, restart what dies, stop in reverse order."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.settings import environment_with

STOP_SECONDS = 10.0
FIRST_RESTART_SECONDS = 0.2
LONGEST_RESTART_SECONDS = 5.0
ASK_READY_SECONDS = 0.05
LOG_TAIL_LINES = 15


class NotReady(Exception):
    """A process did not come up; the message shows the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """How one process is started, and how we see that it serves."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    is_ready: Callable[[], Awaitable[bool]]
    ready_seconds: float = 30.0


class Child:
    """One supervised process; its output goes to a log file."""

    def __init__(self, plan: ChildPlan, *, log_dir: Path) -> None:
        self.plan = plan
        self._log = log_dir / f"{plan.name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and wait until it serves.

        Raises:
            NotReady: it ended, or did not serve in time.
        """
        process = await self._spawn()
        try:
            async with asyncio.timeout(self.plan.ready_seconds):
                while not await self.plan.is_ready():
                    if process.returncode is not None:
                        raise NotReady(self._explain(f"ended with code {process.returncode}"))
                    await asyncio.sleep(ASK_READY_SECONDS)
        except TimeoutError:
            raise NotReady(
                self._explain(f"did not serve within {self.plan.ready_seconds:g} s")
            ) from None
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask the process to end, and end it when it does not."""
        if self._keeping:
            self._keeping.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.plan.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment_with(self.plan.environment),
                start_new_session=True,  # Ctrl-C reaches the supervisor only
            )
        return self._process

    async def _keep(self) -> None:
        pause = FIRST_RESTART_SECONDS
        loop = asyncio.get_running_loop()
        while self._process:
            began = loop.time()
            await self._process.wait()
            lasted = loop.time() - began
            pause = FIRST_RESTART_SECONDS if lasted > LONGEST_RESTART_SECONDS else pause * 2
            await asyncio.sleep(min(pause, LONGEST_RESTART_SECONDS))
            await self._spawn()

    def _explain(self, what: str) -> str:
        tail = self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        shown = "\n".join(f"    {line}" for line in tail)
        return f"{self.plan.name} {what}; the end of {self._log}:\n{shown}"
