"""Where pictures are drawn: threads of their own, so that no caller waits for another's picture."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from emulators.studio import PictureOrder, Studio

DRAWING_THREADS = 2


class Easel:
    """One studio and its threads; every stand-in that draws shares them."""

    def __init__(self) -> None:
        self._studio = Studio()
        self._threads = ThreadPoolExecutor(DRAWING_THREADS, thread_name_prefix="studio")

    async def draw(self, order: PictureOrder) -> bytes:
        """Draw and encode; equal orders give equal bytes."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._studio.draw, order)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
