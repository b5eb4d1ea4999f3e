"""A SQLite file under its name: opened only where it is, and noticed when it is replaced.

An open connection goes on writing into a file that was deleted or moved away, and SQLite in
WAL mode does not tell. So whoever keeps a connection remembers which file it opened.
"""

import sqlite3
from datetime import timedelta
from pathlib import Path

FileIdentity = tuple[int, int]  # device and inode


def connect(path: Path, *, patience: timedelta, may_create: bool = False) -> sqlite3.Connection:
    """Open a file, outside any transaction.

    Args:
        path: of the file.
        patience: how long to wait for another writer.
        may_create: otherwise a missing file is an outage, not a fresh and empty database.

    Raises:
        sqlite3.OperationalError: the file cannot be opened.
    """
    address = f"{path.absolute().as_uri()}?mode={'rwc' if may_create else 'rw'}"
    return sqlite3.connect(
        address,
        uri=True,
        timeout=patience.total_seconds(),
        isolation_level=None,  # transactions begin where we say, not where Python guesses
        check_same_thread=False,  # whoever keeps the connection lends it to one thread at a time
    )


def identity(path: Path) -> FileIdentity | None:
    """Say which file stands under this name, if any."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
