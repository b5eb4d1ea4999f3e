"""Call the caller back when a task has ended: unsigned, patient for 15 s, tried twice."""

import asyncio
import contextlib
from typing import Any

import httpx

from emulators.faults.rules import Forged, Late, Never, Twice
from emulators.pictures.tasks import SUCCEEDED, Task

TIMEOUT_SECONDS = 15.0
RETRY_SECONDS = 1.0


class CallbackSender:
    """Send the callbacks of ended tasks.

    Args:
        client: shared by all callbacks.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def announce(self, task: Task) -> None:
        """Send a task's callback, as the faults it met will have it."""
        address = task.order.callback_url
        if address is None or task.fired.first(Never):
            return
        if late := task.fired.first(Late):
            await asyncio.sleep(late.seconds)
        if task.fired.first(Forged):
            await self._post(address, forgery_of(task))
        for _ in range(2 if task.fired.first(Twice) else 1):
            await self._send(address, task.callback())

    async def _send(self, address: str, content: dict[str, Any]) -> None:
        if not await self._post(address, content):
            await asyncio.sleep(RETRY_SECONDS)
            await self._post(address, content)

    async def _post(self, address: str, content: dict[str, Any]) -> bool:
        with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
            answer = await self._client.post(address, json=content, timeout=TIMEOUT_SECONDS)
            return answer.is_success
        return False


def forgery_of(task: Task) -> dict[str, Any]:
    """Invent a success of an unknown task with somebody else's picture."""
    foreign = f"{task.results_address}forged-result-0.png"
    record = {
        **task.record(),
        "taskId": f"forged-{task.task_id}",
        "successFlag": SUCCEEDED,
        "response": {"originImageUrl": None, "resultImageUrl": foreign},
    }
    return {"code": 200, "msg": "success", "data": record}
