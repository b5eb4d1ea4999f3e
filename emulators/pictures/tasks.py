"""The life of a picture task: accepted, some seconds of work, then a picture or a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from emulators.faults.plan import Fired
from emulators.faults.rules import CreateFailed, GenerateFailed, Stuck
from emulators.ledger import Ledger
from emulators.pictures.envelopes import SUCCESS
from emulators.pictures.photos import PhotoMissing, PhotoShelf
from emulators.pictures.requests import Order

GENERATING, SUCCEEDED, CREATE_FAILED, GENERATE_FAILED = range(4)  # successFlag
KEPT_TASKS = 20_000  # the oldest are forgotten first


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a task has no picture."""

    flag: int
    code: int
    message: str


@dataclass(slots=True, kw_only=True)
class Task:
    """One accepted task. Only its life writes `photos`, `failure` and `ended_at`."""

    task_id: str
    order: Order
    param_json: str
    call: str | None
    results_address: str  # where its pictures will be found, without the name
    sequence: int  # in the ledger
    seconds: float
    fired: Fired
    accepted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    photos: tuple[bytes, ...] = ()
    failure: Failure | None = None
    ended_at: datetime | None = None

    @property
    def flag(self) -> int:
        """Give the successFlag of now."""
        if self.ended_at is None:
            return GENERATING
        return self.failure.flag if self.failure else SUCCEEDED

    def result_address(self, *, place: int = 0, kind: str = "result") -> str:
        """Name where a picture of it is found.

        Args:
            place: which picture, from 0.
            kind: "result" or "origin".
        """
        return f"{self.results_address}{self.task_id}-{kind}-{place}.{self.order.format}"

    def record(self) -> dict[str, Any]:
        """Show it as record-info does."""
        failure = self.failure
        return {
            "taskId": self.task_id,
            "paramJson": self.param_json,
            "completeTime": _wire_time(self.ended_at),
            "createTime": _wire_time(self.accepted_at),
            "response": self._response() if self.flag == SUCCEEDED else None,
            "successFlag": self.flag,
            "errorCode": failure.code if failure else 0,
            "errorMessage": failure.message if failure else "",
            "operationType": self.order.operation,
        }

    def callback(self) -> dict[str, Any]:
        """Shape its callback; the first generation has a shape of its own."""
        if not self.order.is_first_generation:
            return {"code": SUCCESS, "msg": "success", "data": self.record()}
        if self.failure:
            code, message = self.failure.code, self.failure.message
            return {"code": code, "msg": message, "data": {"taskId": self.task_id, "info": None}}
        found = {"taskId": self.task_id, "info": self._response()}
        return {"code": SUCCESS, "msg": "success", "data": found}

    def _response(self) -> dict[str, Any]:
        addresses = [self.result_address(place=place) for place in range(self.order.count)]
        response: dict[str, Any] = {
            "originImageUrl": self.result_address(kind="origin"),
            "resultImageUrl": addresses[0],
        }
        return response if len(addresses) == 1 else {**response, "resultUrls": addresses}


class TaskBoard:
    """All tasks, and the lives of those under way.

    Args:
        ledger: where failed tasks give their money back.
        photos: where the product photos come from.
        announce: called with each task that has ended.
    """

    def __init__(
        self, ledger: Ledger, photos: PhotoShelf, announce: Callable[[Task], Awaitable[None]]
    ) -> None:
        self._ledger = ledger
        self._photos = photos
        self._announce = announce
        self._tasks: dict[str, Task] = {}
        self._lives: set[asyncio.Task[None]] = set()

    def start(self, task: Task) -> asyncio.Task[None]:
        """Put a task on the board and let it live.

        Returns:
            Its life, which is over when the last callback has been answered.
        """
        self._tasks[task.task_id] = task
        self._forget_oldest()
        life = asyncio.create_task(self._live(task), name=task.task_id)
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return life

    def find(self, task_id: str) -> Task | None:
        """Find a task by its id."""
        return self._tasks.get(task_id)

    def counts(self) -> dict[str, int]:
        """Count the tasks known and the lives under way."""
        return {"tasks": len(self._tasks), "lives": len(self._lives)}

    async def close(self) -> None:
        """End every life that is under way."""
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)

    async def _live(self, task: Task) -> None:
        with self._ledger.open_call("generate"):
            if task.fired.first(Stuck):
                await asyncio.Event().wait()
            task.failure = await self._work(task)
            task.ended_at = datetime.now(UTC)
        if task.failure:
            self._ledger.withdraw_bill(task.sequence)
        await self._announce(task)

    async def _work(self, task: Task) -> Failure | None:
        try:
            task.photos = await self._photos.fetch_all(task.order.image_urls)
        except PhotoMissing as missing:
            return Failure(flag=CREATE_FAILED, code=400, message=str(missing))
        if task.seconds > 0:
            await asyncio.sleep(task.seconds)
        return _befallen(task.fired)

    def _forget_oldest(self) -> None:
        while len(self._tasks) > KEPT_TASKS:
            del self._tasks[next(iter(self._tasks))]


def _befallen(fired: Fired) -> Failure | None:
    if rule := fired.first(CreateFailed):
        return Failure(flag=CREATE_FAILED, code=rule.code, message=rule.message)
    if rule := fired.first(GenerateFailed):
        return Failure(flag=GENERATE_FAILED, code=rule.code, message=rule.message)
    return None


def _wire_time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""
