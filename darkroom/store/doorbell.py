"""Which doorbell belongs to a database."""

from pathlib import Path

from darkroom.store.engine import SQLITE, parse_address
from darkroom.store.postgres_doorbell import PostgresDoorbell
from darkroom.store.sqlite_doorbell import SqliteDoorbell


def open_doorbell(url: str) -> PostgresDoorbell | SqliteDoorbell:
    """Prepare the doorbell of a database; nothing is connected before somebody listens.

    Args:
        url: as `open_engine` takes it.

    Raises:
        ValueError: another kind of database, or SQLite without a file.
    """
    address = parse_address(url)
    if address.get_backend_name() == SQLITE:
        return SqliteDoorbell(Path(address.database or ""))
    plain = address.set(drivername="postgresql")
    return PostgresDoorbell(plain.render_as_string(hide_password=False))
