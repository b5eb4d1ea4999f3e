"""Which errors of a database mean that it is away, and not that the question was wrong."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from sqlalchemy import exc

from darkroom.domain.errors import StoreUnavailable

# SQLite calls a missing table or a syntax error "operational" too, but with this plain code.
SQLITE_WRONG_QUESTION = sqlite3.SQLITE_ERROR
SQLITE_PRIMARY_CODE = 0xFF  # an extended code keeps its primary code in the low byte

# psycopg calls these "internal", not "operational": a standby (it was the primary before a
# failover), and a server that ended a transaction which stood still for too long.
POSTGRESQL_OUTAGES = (
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


@contextmanager
def outages_translated() -> Generator[None, None, None]:
    """Turn every sign of an absent database into `StoreUnavailable`, and nothing else.

    Raises:
        StoreUnavailable: unreachable, starting, shutting down, locked for too long, out of
            connections, out of disk, read-only, or busy with a question for too long.
    """
    try:
        yield
    except exc.DBAPIError as error:
        if not is_outage(error.orig):
            raise
        raise _unavailable(error.orig) from error
    except (sqlite3.Error, psycopg.Error, OSError) as error:
        if not is_outage(error):
            raise
        raise _unavailable(error) from error


def is_outage(error: BaseException | None) -> bool:
    """Say whether a driver's error means that the database is away."""
    match error:
        case sqlite3.OperationalError():
            return _sqlite_code(error) != SQLITE_WRONG_QUESTION
        case psycopg.OperationalError() | psycopg.InterfaceError() | OSError():
            return True
        case _:
            return isinstance(error, POSTGRESQL_OUTAGES)


def _sqlite_code(error: sqlite3.OperationalError) -> int | None:
    """Read the primary code; None for errors that the driver itself makes up."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & SQLITE_PRIMARY_CODE


def _unavailable(error: BaseException | None) -> StoreUnavailable:
    said = str(error).strip().splitlines()
    reason = said[0] if said else type(error).__name__
    return StoreUnavailable(
        f"the database did not answer ({reason}); nothing is known to be wrong with the "
        "question, so ask again once it is back"
    )
