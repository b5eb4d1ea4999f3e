"""Hear the commits of any process in a SQLite file, by asking a counter every few milliseconds."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from pathlib import Path

from darkroom.domain.names import Ring
from darkroom.store.engine import PATIENCE
from darkroom.store.listeners import ANYTHING, Listeners
from darkroom.store.sqlite_files import connect, identity

ASK_AGAIN_SECONDS = 0.002
TRY_AGAIN_SECONDS = 0.25  # when the file cannot be asked


class SqliteDoorbell:
    """The port `Doorbell` over a SQLite file; its rings have no topic."""

    def __init__(self, path: Path) -> None:
        """Prepare to watch a file; it may not exist yet."""
        self._path = path
        self._listeners = Listeners(begin=self._begin, end=self._end)
        self._watch: Watch | None = None

    def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield rings until closed. A ring without a topic comes first and after each gap."""
        return self._listeners.rings()

    async def close(self) -> None:
        """End all listening for good."""
        self._listeners.close()
        watch = self._watch
        self._end()
        if watch is not None:
            await asyncio.to_thread(watch.join)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._watch = Watch(
            self._path, lambda: loop.call_soon_threadsafe(self._listeners.hear, ANYTHING)
        )
        self._watch.start()

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None


class Watch(threading.Thread):
    """A thread that asks a file's counter and tells when it has moved.

    The counter `data_version` moves for a connection outside a transaction when any other
    connection commits; so this one is nobody else's and never writes.
    """

    def __init__(self, path: Path, tell: Callable[[], object]) -> None:
        """Prepare to watch a file; `tell` is called in this thread."""
        super().__init__(name="sqlite-doorbell", daemon=True)
        self._path = path
        self._tell = tell
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop watching; the thread ends within one step."""
        self._stopped.set()

    def run(self) -> None:
        """Watch until stopped, whatever happens to the file meanwhile."""
        while not self._stopped.is_set():
            try:
                self._watch_one_file()
            except sqlite3.Error:
                self._stopped.wait(TRY_AGAIN_SECONDS)
            except RuntimeError:  # the event loop was closed without closing the doorbell
                return

    def _watch_one_file(self) -> None:
        """Ask until stopped, or until another file stands under the name."""
        opened = identity(self._path)
        seen: int | None = None  # so the first answer rings too: what was before it is unheard
        with closing(connect(self._path, patience=PATIENCE)) as connection:
            while not self._stopped.is_set() and identity(self._path) == opened:
                (version,) = connection.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    self._tell()
                seen = version
                self._stopped.wait(ASK_AGAIN_SECONDS)
