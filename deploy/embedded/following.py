"""Follow a job over Socket.IO, as a browser would, and draw its progress."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import socketio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deploy.embedded.api import DemoFailed, Job
from deploy.embedded.layout import Layout

NAMESPACE = "/jobs"
SERVER_EVENTS = ("job_update", "job_progress", "job_completed", "job_error")
LAST_EVENTS = frozenset({"job_completed", "job_failed", "job_cancelled"})
TOTAL = 100


@dataclass(slots=True)
class Watched:
    """What was seen so far."""

    began: float
    first_picture_seconds: float | None = None
    seq: int = 0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


async def follow(layout: Layout, job: Job, *, began: float) -> Watched:
    """Watch until the job is over.

    Raises:
        DemoFailed: the gateway refused the subscription.
    """
    watched = Watched(began=began)
    client: Any = socketio.AsyncClient()  # the library carries no types
    with _bar() as bar:
        line = bar.add_task(job.job_id, total=TOTAL, message="submitted")

        async def on_event(message: dict[str, Any]) -> None:
            see(message, watched, bar, line)

        for name in SERVER_EVENTS:
            client.on(name, on_event, namespace=NAMESPACE)
        await client.connect(
            layout.gateway_url,
            namespaces=[NAMESPACE],
            auth={"token": layout.dev_key},
            transports=["websocket"],
        )
        try:
            answer = await client.call("subscribe", {"jobId": job.job_id}, namespace=NAMESPACE)
            if not answer["ok"]:
                raise DemoFailed(f"the gateway refused: {answer['error']['message']}")
            for message in answer["events"]:
                see(message, watched, bar, line)
            await watched.is_over.wait()
        finally:
            await client.disconnect()
    return watched


def see(message: dict[str, Any], watched: Watched, bar: Progress, line: TaskID) -> None:
    """Take one message of the log in; each comes once, in order."""
    watched.seq = message["seq"]
    told = message["data"]
    progress = told.get("progress") or told.get("job", {}).get("progress")
    if progress:
        bar.update(line, completed=progress["current"], message=progress["message"])
        if not bar.console.is_terminal:
            bar.console.print(f"{progress['current']:3d} %  {progress['message']}")
        if progress["images"]["done"] and watched.first_picture_seconds is None:
            watched.first_picture_seconds = time.monotonic() - watched.began
    kind = message["type"].lower()
    event = told.get("event", {}).get("kind", "")
    if kind == "job_completed" or event in LAST_EVENTS or told.get("fatal"):
        watched.is_over.set()


def _bar() -> Progress:
    console = Console()
    return Progress(
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        TextColumn("{task.fields[message]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
