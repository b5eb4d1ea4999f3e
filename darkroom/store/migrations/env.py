"""How Alembic runs here: on the connection and inside the transaction of `migrate`.

Logging is left alone; it belongs to the program that migrates.
"""

from alembic import context

from darkroom.store.migrate import CONNECTION
from darkroom.store.rows import JOBS

context.configure(
    connection=context.config.attributes[CONNECTION],
    target_metadata=JOBS.metadata,
)
context.run_migrations()
