"""Composition root of the gateway: opens the adapters that the settings name."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from starlette.types import ASGIApp
from temporalio.client import Client

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.job import JobId
from darkroom.files.opening import open_files
from darkroom.pictures import PillowPictureCheck
from darkroom.runtime.temporal import connect
from darkroom.settings import Settings
from darkroom.store.audit import SqlAuditLog
from darkroom.store.dead_letters import SqlDeadLetterStore
from darkroom.store.doorbell import open_doorbell
from darkroom.store.engine import open_engine
from darkroom.store.files import SqlFileCatalog
from darkroom.store.gates import SqlGateBoard
from darkroom.store.jobs import SqlJobStore
from darkroom.store.ledger import SqlCallLedger
from darkroom.store.outbox import SqlOutbox
from darkroom.store.prompts import SqlPromptCache
from gateway.auth import Keys
from gateway.commands import (
    GateCommands,
    JobCommands,
    JobOrders,
    QueueCommands,
    ReconcileCommands,
)
from gateway.deps import Gateway
from gateway.face import face
from gateway.queue_watch import QueueWatch
from gateway.reading import JobReader

log = structlog.get_logger()

CONNECT_TRIES = 30
CONNECT_AGAIN_SECONDS = 1.0


def build_app(settings: Settings, keys: Keys) -> ASGIApp:
    """Make the gateway of a process."""
    return face(settings, lambda: opened(settings, keys))


@asynccontextmanager
async def opened(settings: Settings, keys: Keys) -> AsyncGenerator[Gateway]:
    """Open the real adapters, and close them at the end."""
    secret = settings.secret("signing_secret")
    client = await _connected(settings)
    commands, pool = JobCommands(client), QueueCommands(client)
    engine, doorbell = open_engine(settings.database_url), open_doorbell(settings.database_url)
    store, outbox = SqlJobStore(engine), SqlOutbox(engine)

    async def check_database() -> None:
        await store.job(JobId("job_0"))

    try:
        yield Gateway(
            settings=settings,
            signing_secret=secret,
            keys=keys,
            store=store,
            outbox=outbox,
            doorbell=doorbell,
            ledger=SqlCallLedger(engine),
            prompts=SqlPromptCache(engine),
            letters=SqlDeadLetterStore(engine),
            audit=SqlAuditLog(engine),
            catalog=SqlFileCatalog(engine),
            files=open_files(settings.files_url, **settings.files_options),
            pictures=PillowPictureCheck(),
            differentiator=MaximinDifferentiator(),
            commands=commands,
            orders=JobOrders(client),
            pool=pool,
            queue=QueueWatch(pool),
            gates=GateCommands(client),
            reconciling=ReconcileCommands(client),
            board=SqlGateBoard(engine),
            reader=JobReader(store=store, outbox=outbox, workflows=commands),
            checks={"database": check_database, "temporal": commands.check},
        )
    finally:
        await doorbell.close()
        await engine.dispose()


async def _connected(settings: Settings) -> Client:
    """Connect to Temporal, giving it time to start beside us.

    Raises:
        RuntimeError: it did not come.
    """
    address, namespace = settings.temporal_address, settings.temporal_namespace
    for _ in range(CONNECT_TRIES - 1):
        try:
            return await connect(address=address, namespace=namespace)
        except RuntimeError as absent:
            log.warning("temporal_awaited", address=address, error=str(absent))
            await asyncio.sleep(CONNECT_AGAIN_SECONDS)
    return await connect(address=address, namespace=namespace)
