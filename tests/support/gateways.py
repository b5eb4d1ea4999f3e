"""Gateways for tests: real sockets, a real database, a real Temporal server.

A test module that wants the fixtures says so in `pytest_plugins`, with tests.support.databases.
PYTEST_DONT_REWRITE: nothing is asserted here, and tests import it before pytest does.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import socketio
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.items import Item
from darkroom.domain.job import JobId, JobStart, OwnerId
from darkroom.domain.ports import Differentiator, PictureCheck
from darkroom.files.opening import open_files
from darkroom.runtime.temporal import connect
from darkroom.settings import Settings
from deploy.embedded.temporal_server import temporal_binary, tuning_arguments
from gateway.auth import OPERATOR, Caller, Role
from gateway.commands import (
    GateCommands,
    JobCommands,
    JobOrders,
    QueueCommands,
    ReconcileCommands,
)
from gateway.commands.hearing import HEARD_WITHIN
from gateway.deps import CHOOSING_PATIENCE_SECONDS, Gateway
from gateway.face import face
from gateway.live.server import MESSAGE_BYTES, NAMESPACE
from gateway.queue_watch import QueueWatch
from gateway.reading import JobReader
from tests.support.builders import a_batch, a_claim, a_snapshot, a_start, an_event
from tests.support.databases import Stores, sql_stores
from tests.support.workers import FakePictureCheck

SECRET = "a secret that gateway and worker share"
KEYS = {
    "ada-key": Caller(owner=OwnerId("ada")),
    "bob-key": Caller(owner=OwnerId("bob")),
    "operator-key": Caller(owner=OPERATOR, roles=frozenset({Role.USER, Role.OPERATOR})),
}
ADA_KEY, BOB_KEY, OPERATOR_KEY = KEYS
ANSWER_WITHIN_SECONDS = 10
SERVER_EVENTS = ("job_update", "job_progress", "job_completed", "job_error")


class SeveralKeys:
    """More owners than the development key has."""

    def caller(self, token: str) -> Caller | None:
        """Say who holds this token."""
        return KEYS.get(token)


@pytest.fixture(scope="module")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """One real Temporal server for the module, without any worker."""
    database = tmp_path_factory.mktemp("temporal") / "temporal.db"

    async def start() -> WorkflowEnvironment:
        return await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's defaults has an open type
            dev_server_existing_path=temporal_binary(),
            dev_server_database_filename=str(database),
            dev_server_extra_args=tuning_arguments(),
        )

    environment = asyncio.run(start())
    yield environment.client.service_client.config.target_host
    asyncio.run(environment.shutdown())


@dataclass(kw_only=True)
class RunningGateway:
    """One gateway on a port of its own, and what stands behind it."""

    url: str
    stores: Stores
    temporal: Client
    settings: Settings
    pictures: PictureCheck

    @asynccontextmanager
    async def calling(self, key: str | None = ADA_KEY) -> AsyncGenerator[httpx.AsyncClient]:
        """Speak HTTP with a key, or without."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, trust_env=False, timeout=20
        ) as client:
            yield client

    @asynccontextmanager
    async def listening(self, key: str | None = ADA_KEY) -> AsyncGenerator["Listener"]:
        """Speak Socket.IO with a key, or without."""
        listener = Listener()
        await listener.connect(self.url, key)
        try:
            yield listener
        finally:
            await listener.client.disconnect()


@dataclass(kw_only=True)
class Listener:
    """A browser's side of the socket: what came, in the order in which it came."""

    client: Any = field(
        default_factory=lambda: socketio.AsyncClient(reconnection=False, handle_sigint=False)
    )
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    heard: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    refusals: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def connect(self, url: str, key: str | None) -> None:
        """Connect, hearing every server event."""
        for name in SERVER_EVENTS:
            self.client.on(name, self._hear(name), namespace=NAMESPACE)
        self.client.on("connect_error", self.refusals.append, namespace=NAMESPACE)
        auth = {"token": key} if key else None
        await self.client.connect(
            url, namespaces=[NAMESPACE], auth=auth, transports=["websocket"], retry=False
        )

    async def ask(self, event: str, *said: Any) -> dict[str, Any]:
        """Send an event and take its acknowledgement."""
        answered = asyncio.get_running_loop().create_future()

        def answer(reply: dict[str, Any]) -> None:
            for message in reply.get("events", ()):
                self._note(message)
            if not answered.done():
                answered.set_result(reply)

        await self.client.emit(event, *said, namespace=NAMESPACE, callback=answer)
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            return await answered

    async def subscribe(self, job_id: str, **wish: Any) -> dict[str, Any]:
        """Subscribe; the missed events of the acknowledgement count as heard."""
        return await self.ask("subscribe", {"jobId": job_id, **wish})

    def seqs(self, job_id: str) -> list[int]:
        """List the numbers heard of a job, in the order in which they came."""
        return [seq for known, seq in self.heard if known == job_id]

    def _hear(self, name: str) -> Any:
        def hear(message: dict[str, Any]) -> None:
            self.messages.append(message | {"event": name})
            self._note(message)

        return hear

    def _note(self, message: dict[str, Any]) -> None:
        self.heard.append((message["jobId"], message["seq"]))


@dataclass(kw_only=True)
class LogWriter:
    """Stands in for a job's workflow: claims the job and appends to its log."""

    stores: Stores
    start: JobStart
    head: int = 0

    async def begin(self) -> None:
        """Claim the job, with its first event."""
        await self.stores.jobs.claim(a_claim(self.start))
        await self.append()

    async def append(self, count: int = 1, *, items: tuple[Item, ...] = (), **changes: Any) -> None:
        """Append a batch of events, all alike."""
        numbers = range(self.head + 1, self.head + count + 1)
        events = tuple(an_event(seq, **changes) for seq in numbers)
        last = events[-1]
        batch = a_batch(
            *events,
            job_id=self.start.job_id,
            items=items,
            snapshot=a_snapshot(
                last.seq, state=last.state, progress=last.progress, waiting=last.waiting
            ),
        )
        recorded = await self.stores.outbox.append(batch)
        assert recorded.appended
        assert recorded.is_writer
        self.head = recorded.head


def a_body(**changes: Any) -> dict[str, Any]:
    """Write a request as a caller would: eight pictures of a street lamp."""
    body: dict[str, Any] = {
        "type": "image_generation",
        "dimensions": {
            "timeOfDay": {"options": ["morning", "noon", "evening", "night"], "weight": 0.3},
            "weather": {"options": ["sunny", "cloudy", "rainy", "snowy"], "weight": 0.25},
            "location": {"options": ["urban", "suburban", "rural", "industrial"], "weight": 0.25},
            "angle": {"options": ["ground", "elevated", "aerial", "closeup"], "weight": 0.2},
        },
        "count": 8,
        "minDifference": 2,
        "metric": "hamming",
        "prompt": {
            "template": "A solar street lamp, {timeOfDay}, {weather}, {location}, {angle} view"
        },
        "image": {"provider": "nanobanana", "aspectRatio": "1:1", "size": "1K", "format": "png"},
        "labels": {"campaign": "spring"},
    }
    return body | changes


async def written_job(stores: Stores, **changes: Any) -> LogWriter:
    """Begin a job whose log the test writes."""
    writer = LogWriter(stores=stores, start=a_start(**changes))
    await writer.begin()
    return writer


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve an application on a free port of this machine; gives its address."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        if running.done():
            running.result()
            raise AssertionError("the gateway did not start")
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@dataclass(kw_only=True)
class House:
    """A database, files and Temporal, over which any number of gateways run."""

    database_url: str
    temporal: Client
    directory: Path
    exits: AsyncExitStack
    differentiator: Differentiator = field(default_factory=MaximinDifferentiator)
    choosing_patience_seconds: float = CHOOSING_PATIENCE_SECONDS
    heard_within: timedelta = HEARD_WITHIN

    async def gateway(
        self,
        *,
        changes: Mapping[str, Any] | None = None,
        pictures: PictureCheck | None = None,
        stores: Stores | None = None,
    ) -> RunningGateway:
        """Run one more gateway until the test ends."""
        return await self.exits.enter_async_context(
            self.running(changes=changes, pictures=pictures, stores=stores)
        )

    @asynccontextmanager
    async def running(
        self,
        *,
        changes: Mapping[str, Any] | None = None,
        pictures: PictureCheck | None = None,
        stores: Stores | None = None,
    ) -> AsyncGenerator[RunningGateway]:
        """Run one more gateway until the block ends."""
        settings = Settings.model_validate({"signing_secret": SecretStr(SECRET), **(changes or {})})
        check = pictures or FakePictureCheck()
        async with AsyncExitStack() as closing:
            own = stores or await closing.enter_async_context(sql_stores(self.database_url))

            @asynccontextmanager
            async def opening() -> AsyncGenerator[Gateway]:
                yield self._gateway(settings, own, check)

            url = await closing.enter_async_context(serving(face(settings, opening)))
            yield RunningGateway(
                url=url, stores=own, temporal=self.temporal, settings=settings, pictures=check
            )

    def _gateway(self, settings: Settings, stores: Stores, pictures: PictureCheck) -> Gateway:
        commands = JobCommands(self.temporal)
        pool = QueueCommands(self.temporal, within=self.heard_within)

        async def check_database() -> None:
            await stores.jobs.job(JobId("job_0"))

        return Gateway(
            settings=settings,
            signing_secret=SECRET,
            keys=SeveralKeys(),
            store=stores.jobs,
            outbox=stores.outbox,
            doorbell=stores.doorbell,
            ledger=stores.ledger,
            prompts=stores.prompts,
            letters=stores.letters,
            audit=stores.audit,
            catalog=stores.files,
            files=open_files(f"file://{self.directory / 'files'}"),
            pictures=pictures,
            differentiator=self.differentiator,
            choosing_patience_seconds=self.choosing_patience_seconds,
            commands=commands,
            orders=JobOrders(self.temporal, within=self.heard_within),
            pool=pool,
            queue=QueueWatch(pool),
            gates=GateCommands(self.temporal, within=self.heard_within),
            reconciling=ReconcileCommands(self.temporal, within=self.heard_within),
            board=stores.gates,
            reader=JobReader(store=stores.jobs, outbox=stores.outbox, workflows=commands),
            checks={"database": check_database, "temporal": commands.check},
        )


@asynccontextmanager
async def a_house(
    *, database_url: str, temporal_address: str, directory: Path
) -> AsyncGenerator[House]:
    """Build a house without a gateway yet; its gateways end with the block."""
    client = await connect(address=temporal_address, namespace="default")
    async with AsyncExitStack() as exits:
        yield House(database_url=database_url, temporal=client, directory=directory, exits=exits)


@pytest.fixture
async def house(sqlite_url: str, temporal_address: str, tmp_path: Path) -> AsyncGenerator[House]:
    """A house over SQLite."""
    async with a_house(
        database_url=sqlite_url, temporal_address=temporal_address, directory=tmp_path
    ) as built:
        yield built


@pytest.fixture
async def gateway(house: House) -> RunningGateway:
    """One gateway."""
    return await house.gateway()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    migrated_file: Path, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[RunningGateway]:
    """One gateway for many questions that change nothing."""
    directory = tmp_path_factory.mktemp("house")
    database = shutil.copy(migrated_file, directory / "darkroom.sqlite")
    async with (
        a_house(
            database_url=f"sqlite:///{database}",
            temporal_address=temporal_address,
            directory=directory,
        ) as built,
        built.running() as running,
    ):
        yield running
