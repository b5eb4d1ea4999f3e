"""The file host of finished pictures: drawn when first asked for, kept a while, then expired."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from emulators.connections import trickled
from emulators.easel import Easel
from emulators.faults.carrying_out import GATEWAY_PAGE
from emulators.faults.plan import Fired
from emulators.faults.rules import Expired, Huge, NotAnImage, Slow, Truncated, WrongContentType
from emulators.options import EmulatorOptions
from emulators.pictures.tasks import SUCCEEDED, Task
from emulators.studio import PictureOrder

NAME = re.compile(r"(?P<task_id>.+)-(?:result|origin)-(?P<place>\d)\.(?:jpg|png)")
KEPT_BYTES = 32 * 1024 * 1024
MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
PIECE_BYTES = 64 * 1024


class PictureHost:
    """Draws each picture once, while it is remembered.

    Args:
        options: how large pictures are, and how long they can be had.
        easel: draws.
    """

    def __init__(self, options: EmulatorOptions, easel: Easel) -> None:
        self._options = options
        self._easel = easel
        self._drawn: OrderedDict[str, asyncio.Task[bytes]] = OrderedDict()
        self._drawn_bytes = 0

    async def picture(self, task: Task, place: int) -> bytes:
        """Draw a picture of an ended task, or find it drawn already.

        Args:
            task: has succeeded.
            place: which of its pictures, from 0.
        """
        name = f"{task.task_id}-{place}"
        drawing = self._drawn.get(name)
        if drawing is None or (drawing.done() and drawing.exception()):
            drawing = self._drawn[name] = asyncio.create_task(self._draw(task, place))
        self._drawn.move_to_end(name)
        return await asyncio.shield(drawing)

    def has_expired(self, task: Task) -> bool:
        """Tell whether the task's pictures are gone."""
        if task.ended_at is None:
            return False
        age = datetime.now(UTC) - task.ended_at
        return age.total_seconds() > self._options.result_ttl_seconds

    async def _draw(self, task: Task, place: int) -> bytes:
        width, height = task.order.size(self._options.picture_pixels)
        order = PictureOrder(
            prompt=task.order.prompt,
            seed=f"{self._options.seed}/{task.order.model}/{place}",
            width=width,
            height=height,
            format=task.order.format,
            photo=task.photos[0] if task.photos else None,
        )
        drawn = await self._easel.draw(order)
        self._keep_within_bound(len(drawn))
        return drawn

    def _keep_within_bound(self, added_bytes: int) -> None:
        self._drawn_bytes += added_bytes
        while self._drawn_bytes > KEPT_BYTES:
            name, oldest = next(iter(self._drawn.items()))
            if not oldest.done() or oldest.exception():
                return
            del self._drawn[name]
            self._drawn_bytes -= len(oldest.result())


def read_name(name: str) -> tuple[str, int] | None:
    """Read the task and the place out of a picture's name."""
    found = NAME.fullmatch(name)
    return (found["task_id"], int(found["place"])) if found else None


def is_available(task: Task | None, place: int) -> bool:
    """Tell whether such a picture was ever made."""
    return task is not None and task.flag == SUCCEEDED and place < task.order.count


def picture_response(picture: bytes, media_type: str, fired: Fired) -> Response:
    """Send a picture, as the faults it met will have it."""
    if expired := fired.first(Expired):
        return PlainTextResponse("the picture has expired", expired.status)
    if fired.first(WrongContentType):
        return Response(GATEWAY_PAGE, media_type="text/html")
    if fired.first(NotAnImage):
        return Response(b"this is not a picture", media_type=media_type)
    if huge := fired.first(Huge):
        return StreamingResponse(_padded(picture, huge.size_bytes), media_type=media_type)
    if truncated := fired.first(Truncated):
        return _half(picture, media_type, clean=truncated.clean)
    if slow := fired.first(Slow):
        return StreamingResponse(
            trickled(picture, seconds=slow.seconds),
            media_type=media_type,
            headers={"Content-Length": str(len(picture))},
        )
    return Response(picture, media_type=media_type)


def _half(picture: bytes, media_type: str, *, clean: bool) -> Response:
    half = picture[: len(picture) // 2]
    announced = len(half) if clean else len(picture)
    headers = {"Content-Length": str(announced)}
    return Response(half, media_type=media_type, headers=headers)


async def _padded(picture: bytes, size_bytes: int) -> AsyncIterator[bytes]:
    yield picture[:size_bytes]
    for start in range(len(picture), size_bytes, PIECE_BYTES):
        yield bytes(min(PIECE_BYTES, size_bytes - start))
