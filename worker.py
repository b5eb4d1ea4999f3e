"""Composition root of the worker process: the only place where its rooms meet."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.adoption import CallbackWatch
from activities.analyze import AnalyzeActivities
from activities.claim import ClaimActivities
from activities.enhance import EnhanceActivities
from activities.finish import FinishActivities
from activities.generate import GenerateActivities
from activities.heartbeats import HEARTBEAT_EVERY
from activities.keeping import PictureKeeper
from activities.ledger_walk import AskingPlan, Darkbench
from activities.record import RecordActivities
from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.names import TASK_QUEUE
from darkroom.domain.ports import Doorbell, ImageProvider, PromptEnhancer
from darkroom.files.opening import open_files
from darkroom.pictures import PillowPictureCheck
from darkroom.providers.deepseek import DeepSeekEnhancer, DeepSeekOptions
from darkroom.providers.http_client import open_client
from darkroom.providers.nanobanana import NanobananaOptions, NanobananaProvider
from darkroom.providers.token_prices import TokenPrices
from darkroom.runtime.exits import leave
from darkroom.runtime.logs import configure_logs
from darkroom.runtime.signals import TemporalJobSignals
from darkroom.runtime.temporal import connect, ensure_search_attributes
from darkroom.settings import Settings
from darkroom.store.doorbell import open_doorbell
from darkroom.store.engine import open_engine
from darkroom.store.jobs import SqlJobStore
from darkroom.store.ledger import SqlCallLedger
from darkroom.store.outbox import SqlOutbox
from darkroom.store.prompts import SqlPromptCache
from workflows.image_job import ImageJobWorkflow
from workflows.options import STICKY_QUEUE_TIMEOUT

log = structlog.get_logger()

RECONNECT_SECONDS = 1.0

# A frozen process keeps its polls open, and each swallows a task until that times out; so a
# worker polls no more than it needs. Most activities start eagerly, without a poll.
FEW_POLLERS = PollerBehaviorSimpleMaximum(maximum=2)

# Our own pure packages pass through the sandbox: re-importing them for each workflow costs
# 25 ms of CPU a start. The workflow tests run without this, under the strict sandbox.
PASSED_THROUGH = (
    *("activities", "darkroom", "structlog", "pydantic", "pydantic_core"),
    *("workflows.clock", "workflows.closing", "workflows.durably", "workflows.options"),
    *("workflows.pictures", "workflows.recorder", "workflows.retrying", "workflows.standstill"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """A worker, and the listener that must run beside it."""

    worker: Worker
    callbacks: CallbackWatch


async def build_worker(
    client: Client, settings: Settings, *, until_exit: AsyncExitStack
) -> WorkerParts:
    """Wire every room to a worker; `until_exit` closes what was opened."""
    callbacks, activities = await _activities(client, settings, until_exit)
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[ImageJobWorkflow],
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        max_cached_workflows=settings.worker_max_cached_workflows,
        max_concurrent_activities=settings.worker_max_activities,
        sticky_queue_schedule_to_start_timeout=STICKY_QUEUE_TIMEOUT,
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        default_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        workflow_task_poller_behavior=FEW_POLLERS,
        activity_task_poller_behavior=FEW_POLLERS,
        graceful_shutdown_timeout=settings.worker_shutdown_grace,
    )
    return WorkerParts(worker=worker, callbacks=callbacks)


async def _activities(
    client: Client, settings: Settings, until_exit: AsyncExitStack
) -> tuple[CallbackWatch, tuple[Callable[..., Any], ...]]:
    """Give every step its ports."""
    engine = open_engine(settings.database_url)
    until_exit.push_async_callback(engine.dispose)
    doorbell: Doorbell = open_doorbell(settings.database_url)
    jobs = SqlJobStore(engine)
    ledger = SqlCallLedger(engine)
    cache = SqlPromptCache(engine)
    files = open_files(settings.files_url, **settings.files_options)
    callbacks = CallbackWatch(ledger=ledger, doorbell=doorbell)
    bench = Darkbench(
        ledger=ledger,
        cache=cache,
        keeper=PictureKeeper(
            files=files, pictures=PillowPictureCheck(), max_bytes=settings.max_picture_bytes
        ),
        callbacks=callbacks,
        asking=AskingPlan(deadline=settings.nanobanana_collect_deadline),
    )
    return callbacks, (
        ClaimActivities(jobs).claim,
        RecordActivities(SqlOutbox(engine)).record,
        AnalyzeActivities(differentiator=MaximinDifferentiator(), jobs=jobs).analyze,
        EnhanceActivities(
            enhancer=await _enhancer(settings, until_exit),
            cache=cache,
            signals=TemporalJobSignals(client),
        ).enhance,
        GenerateActivities(providers=await _providers(settings, until_exit), bench=bench).generate,
        FinishActivities(ledger=ledger, cache=cache, files=files).finish,
    )


async def _enhancer(settings: Settings, until_exit: AsyncExitStack) -> PromptEnhancer:
    prices = TokenPrices(
        model=settings.deepseek_model,
        valid_from=settings.deepseek_prices_from,
        hit=settings.deepseek_price_hit,
        miss=settings.deepseek_price_miss,
        output=settings.deepseek_price_output,
    )
    options = DeepSeekOptions(
        base_url=settings.deepseek_base_url,
        api_key=settings.secret("deepseek_api_key"),
        model=settings.deepseek_model,
        prices=(prices,),
        deadline=settings.deepseek_deadline,
    )
    client = await until_exit.enter_async_context(open_client())
    return DeepSeekEnhancer(client, options)


async def _providers(settings: Settings, until_exit: AsyncExitStack) -> dict[str, ImageProvider]:
    options = NanobananaOptions(
        base_url=settings.nanobanana_base_url,
        api_key=settings.secret("nanobanana_api_key"),
        callback_base_url=settings.public_url,
        signing_secret=settings.secret("signing_secret"),
        prices=settings.picture_prices(),
        download_hosts=settings.nanobanana_download_hosts,
        post_deadline=settings.nanobanana_post_deadline,
        grace=settings.nanobanana_grace,
        max_bytes=settings.max_picture_bytes,
    )
    client = await until_exit.enter_async_context(open_client())
    download_client = await until_exit.enter_async_context(open_client())
    return {"nanobanana": NanobananaProvider(client, download_client, options)}


async def main() -> None:
    """Serve the task queue until told to stop, then let what is running come to rest."""
    configure_logs()
    settings = Settings()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = await _connect_for_ever(settings)
    await ensure_search_attributes(client)
    async with AsyncExitStack() as until_exit:
        parts = await build_worker(client, settings, until_exit=until_exit)
        listening = asyncio.create_task(parts.callbacks.listen())
        async with parts.worker:
            log.info("worker_started", task_queue=TASK_QUEUE, temporal=settings.temporal_address)
            await asyncio.wait(
                {listening, asyncio.create_task(stop.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
        if listening.done():
            listening.result()  # it never ends by itself: show why it did
        listening.cancel()
    log.info("worker_stopped")


async def _connect_for_ever(settings: Settings) -> Client:
    while True:
        try:
            return await connect(
                address=settings.temporal_address, namespace=settings.temporal_namespace
            )
        except RuntimeError as error:
            log.warning("temporal_awaited", address=settings.temporal_address, error=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)


if __name__ == "__main__":
    try:
        # Half of what this process does is waking its loop from other threads: the SDK's core,
        # the store's threads. uvloop does that at a fraction of the cost.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except ValueError as error:
        sys.stderr.write(f"worker: {error}\n")
        leave(2)
    leave(0)
