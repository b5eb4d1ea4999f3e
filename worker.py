"""Composition root of the worker process: the only place where its rooms meet."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.admission import PoolActivities, PoolPorts, SlotActivities
from activities.adoption import CallbackWatch
from activities.analyze import AnalyzeActivities
from activities.claim import ClaimActivities
from activities.control import ControlActivities
from activities.dead_letters import EscalationActivities
from activities.drift_files import LostFiles
from activities.drift_jobs import LostRows, LostWorkflows, StuckTasks, UnflushedEvents
from activities.drift_purchases import UnattachedPurchases, UnknownPurchases
from activities.drift_slots import LeakedSlots
from activities.enhance import EnhanceActivities, EnhanceGate
from activities.finish import FinishActivities
from activities.gates import GateActivities
from activities.generate import GenerateActivities
from activities.heartbeats import HEARTBEAT_EVERY
from activities.keeping import PictureKeeper
from activities.late_collecting import LateCollecting
from activities.ledger_walk import AskingPlan, Darkbench
from activities.passage import Passage
from activities.reconcile import ReconcileActivities
from activities.record import RecordActivities
from activities.rounds import Round
from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.admission import PoolPlan, PoolTerms, QueueTerms
from darkroom.domain.breakers import BreakerPlan, GateKey
from darkroom.domain.drift import RECONCILE, DriftKind, ReconcileOrder
from darkroom.domain.escalation import Ladder
from darkroom.domain.names import ESCALATE_DEAD_LETTERS, TASK_QUEUE
from darkroom.domain.ports import (
    FileCatalog,
    FileStore,
    ImageProvider,
    Notifier,
    PromptEnhancer,
)
from darkroom.files.opening import open_files
from darkroom.pictures import PillowPictureCheck
from darkroom.providers.deepseek import PROVIDER as DEEPSEEK
from darkroom.providers.deepseek import DeepSeekEnhancer, DeepSeekOptions
from darkroom.providers.gemini import PROVIDER as GEMINI
from darkroom.providers.gemini import GeminiOptions, GeminiProvider
from darkroom.providers.http_client import open_client
from darkroom.providers.nanobanana import PROVIDER as NANOBANANA
from darkroom.providers.nanobanana import NanobananaOptions, NanobananaProvider
from darkroom.providers.token_prices import TokenPrices
from darkroom.runtime.exits import leave
from darkroom.runtime.gate_signals import TemporalGateSignals
from darkroom.runtime.job_runs import TemporalJobRuns
from darkroom.runtime.job_truth import RestartTerms, TemporalJobTruth
from darkroom.runtime.logs import configure_logs
from darkroom.runtime.notifiers import LogOnlyNotifier, WebhookNotifier
from darkroom.runtime.queue_signals import TemporalQueueSignals
from darkroom.runtime.schedules import Chore, ensure_schedules
from darkroom.runtime.signals import TemporalJobSignals
from darkroom.runtime.temporal import connect, ensure_search_attributes
from darkroom.settings import Settings
from darkroom.store.audit import SqlAuditLog
from darkroom.store.dead_letters import SqlDeadLetterStore
from darkroom.store.doorbell import open_doorbell
from darkroom.store.engine import open_engine
from darkroom.store.files import SqlFileCatalog
from darkroom.store.gates import SqlGateBoard
from darkroom.store.inventory import SqlInventory
from darkroom.store.jobs import SqlJobStore
from darkroom.store.ledger import SqlCallLedger
from darkroom.store.outbox import SqlOutbox
from darkroom.store.prompts import SqlPromptCache
from darkroom.store.queues import SqlQueueStore
from darkroom.store.reservations import SqlReservations
from darkroom.store.threads import ThreadedEngine
from workflows.image_job import ImageJobWorkflow
from workflows.options import HEARTBEAT_TIMEOUT, STICKY_QUEUE_TIMEOUT, WORKFLOW_TASK_TIMEOUT
from workflows.provider_gate import ProviderGateWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.schedules import EscalateWorkflow
from workflows.slot_pool import SlotPoolWorkflow

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
    *("workflows.clearance", "workflows.floor", "workflows.orders", "workflows.parking"),
    *("workflows.pictures", "workflows.prompts", "workflows.recorder", "workflows.retrying"),
    *("workflows.slot_lease", "workflows.standstill", "workflows.unknowns"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """A worker, and what must run beside it."""

    worker: Worker
    callbacks: CallbackWatch
    queue: TemporalQueueSignals


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """The adapters that several steps share."""

    client: Client
    settings: Settings
    engine: ThreadedEngine
    ledger: SqlCallLedger
    files: FileStore
    keeper: PictureKeeper
    callbacks: CallbackWatch
    enhancer: PromptEnhancer
    providers: Mapping[str, ImageProvider]
    notifier: Notifier
    board: SqlGateBoard
    gate_signals: TemporalGateSignals
    passage: Passage
    queue: TemporalQueueSignals


async def build_worker(
    client: Client, settings: Settings, *, until_exit: AsyncExitStack
) -> WorkerParts:
    """Wire every room to a worker; `until_exit` closes what was opened."""
    shelf = await _opened(client, settings, until_exit)
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[
            ImageJobWorkflow,
            EscalateWorkflow,
            ProviderGateWorkflow,
            ReconcileWorkflow,
            SlotPoolWorkflow,
        ],
        activities=[*_job_steps(shelf), *_queue_steps(shelf), *_upkeep_steps(shelf)],
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
    return WorkerParts(worker=worker, callbacks=shelf.callbacks, queue=shelf.queue)


async def _opened(client: Client, settings: Settings, until_exit: AsyncExitStack) -> _Shelf:
    """Open every adapter once."""
    engine = open_engine(settings.database_url)
    until_exit.push_async_callback(engine.dispose)
    ledger, board = SqlCallLedger(engine), SqlGateBoard(engine)
    files = open_files(settings.files_url, **settings.files_options)
    gate_signals = TemporalGateSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT)
    return _Shelf(
        client=client,
        settings=settings,
        engine=engine,
        ledger=ledger,
        files=files,
        keeper=PictureKeeper(
            files=files, pictures=PillowPictureCheck(), max_bytes=settings.max_picture_bytes
        ),
        callbacks=CallbackWatch(ledger=ledger, doorbell=open_doorbell(settings.database_url)),
        enhancer=await _enhancer(settings, until_exit),
        providers=await _providers(settings, until_exit, SqlFileCatalog(engine), files),
        notifier=await _notifier(settings, until_exit),
        board=board,
        gate_signals=gate_signals,
        passage=Passage(
            ledger=ledger,
            board=board,
            signals=gate_signals,
            plan=BreakerPlan(
                failures=settings.breaker_failures,
                cooldown=settings.breaker_cooldown,
                longest=settings.breaker_longest_cooldown,
            ),
            limits=settings.call_limits(),
            chance=Random(),  # noqa: S311 -- spreads waits; nothing is kept secret by it
        ),
        queue=TemporalQueueSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT),
    )


def _job_steps(shelf: _Shelf) -> tuple[Callable[..., Any], ...]:
    """Give the steps of a job their ports."""
    jobs, cache = SqlJobStore(shelf.engine), SqlPromptCache(shelf.engine)
    bench = Darkbench(
        ledger=shelf.ledger,
        cache=cache,
        keeper=shelf.keeper,
        callbacks=shelf.callbacks,
        passage=shelf.passage,
        asking=AskingPlan(deadline=shelf.settings.nanobanana_collect_deadline),
    )
    signals = TemporalJobSignals(shelf.client)
    reservations = SqlReservations(shelf.engine)
    gate = EnhanceGate(
        passage=shelf.passage,
        key=GateKey(provider=DEEPSEEK, model=shelf.settings.deepseek_model),
        fallback=shelf.settings.enhance_fallback,
    )
    return (
        ClaimActivities(jobs).claim,
        RecordActivities(SqlOutbox(shelf.engine)).record,
        AnalyzeActivities(
            differentiator=MaximinDifferentiator(), jobs=jobs, reservations=reservations
        ).analyze,
        EnhanceActivities(enhancer=shelf.enhancer, cache=cache, signals=signals, gate=gate).enhance,
        GenerateActivities(providers=shelf.providers, bench=bench).generate,
        FinishActivities(
            ledger=shelf.ledger, cache=cache, files=shelf.files, reservations=reservations
        ).finish,
        ControlActivities(signals).stop,
    )


def _queue_steps(shelf: _Shelf) -> tuple[Callable[..., Any], ...]:
    """Give the pool's and the gates' steps their ports."""
    pool: PoolPorts = {
        "seeds": _seeds(shelf.settings),
        "queues": SqlQueueStore(shelf.engine),
        "runs": TemporalJobRuns(shelf.client),
    }
    return (
        SlotActivities(shelf.queue).request,
        SlotActivities(shelf.queue).release,
        PoolActivities(**pool).terms,
        PoolActivities(**pool).decide,
        PoolActivities(**pool).census,
        PoolActivities(**pool).look,
        GateActivities(board=shelf.board, signals=shelf.gate_signals).read_gate,
        GateActivities(board=shelf.board, signals=shelf.gate_signals).move_gate,
        GateActivities(board=shelf.board, signals=shelf.gate_signals).park,
    )


def _upkeep_steps(shelf: _Shelf) -> tuple[Callable[..., Any], ...]:
    """Give what Temporal starts by itself its ports."""
    rounds, audit = _rounds(shelf), SqlAuditLog(shelf.engine)
    letters = SqlDeadLetterStore(shelf.engine)
    return (
        ReconcileActivities(rounds, audit).look_for,
        ReconcileActivities(rounds, audit).file_report,
        EscalationActivities(letters=letters, notifier=shelf.notifier).escalate,
    )


def _rounds(shelf: _Shelf) -> dict[DriftKind, Round]:
    """Give every round of reconcile what it compares."""
    inventory, ledger = SqlInventory(shelf.engine), shelf.ledger
    truth = TemporalJobTruth(shelf.client, RestartTerms(task_timeout=WORKFLOW_TASK_TIMEOUT))
    collecting = LateCollecting(
        ledger=ledger, inventory=inventory, providers=shelf.providers, keeper=shelf.keeper
    )
    return {
        DriftKind.STUCK_TASK: StuckTasks(inventory=inventory, truth=truth),
        DriftKind.LOST_ROW: LostRows(inventory=inventory, truth=truth),
        DriftKind.LOST_WORKFLOW: LostWorkflows(inventory=inventory, truth=truth),
        DriftKind.UNATTACHED_PURCHASE: UnattachedPurchases(
            inventory=inventory,
            jobs=SqlJobStore(shelf.engine),
            truth=truth,
            collecting=collecting,
        ),
        DriftKind.UNKNOWN_PURCHASE: UnknownPurchases(inventory=inventory),
        DriftKind.LOST_FILE: LostFiles(
            inventory=inventory,
            files=shelf.files,
            ledger=ledger,
            keeper=shelf.keeper,
            providers=shelf.providers,
        ),
        DriftKind.UNFLUSHED_EVENTS: UnflushedEvents(truth=truth),
        DriftKind.LEAKED_SLOT: LeakedSlots(
            truth=truth, runs=TemporalJobRuns(shelf.client), signals=shelf.queue
        ),
    }


def _seeds(settings: Settings) -> PoolTerms:
    """Say how the queue works where no operator has changed it."""
    deadlines = [settings.nanobanana_post_deadline, settings.deepseek_deadline]
    if settings.gemini_api_key is not None:
        deadlines.append(settings.gemini_post_deadline)
    return PoolTerms(
        terms=QueueTerms(
            concurrency=settings.queue_concurrency, owner_limit=settings.queue_owner_limit
        ),
        plan=PoolPlan(aging=settings.queue_aging, grace=HEARTBEAT_TIMEOUT + max(deadlines)),
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


async def _providers(
    settings: Settings, until_exit: AsyncExitStack, catalog: FileCatalog, files: FileStore
) -> dict[str, ImageProvider]:
    providers: dict[str, ImageProvider] = {NANOBANANA: await _nanobanana(settings, until_exit)}
    if settings.gemini_api_key is not None:
        client = await until_exit.enter_async_context(open_client())
        options = GeminiOptions(
            base_url=settings.gemini_base_url,
            api_key=settings.secret("gemini_api_key"),
            prices=settings.picture_prices()[GEMINI],
            post_deadline=settings.gemini_post_deadline,
            max_bytes=settings.max_picture_bytes,
        )
        providers[GEMINI] = GeminiProvider(client, options, catalog=catalog, files=files)
    return providers


async def _nanobanana(settings: Settings, until_exit: AsyncExitStack) -> NanobananaProvider:
    options = NanobananaOptions(
        base_url=settings.nanobanana_base_url,
        api_key=settings.secret("nanobanana_api_key"),
        callback_base_url=settings.public_url,
        signing_secret=settings.secret("signing_secret"),
        prices=settings.picture_prices()[NANOBANANA],
        download_hosts=settings.nanobanana_download_hosts,
        post_deadline=settings.nanobanana_post_deadline,
        grace=settings.nanobanana_grace,
        max_bytes=settings.max_picture_bytes,
    )
    client = await until_exit.enter_async_context(open_client())
    download_client = await until_exit.enter_async_context(open_client())
    return NanobananaProvider(client, download_client, options)


async def _notifier(settings: Settings, until_exit: AsyncExitStack) -> Notifier:
    if settings.operator_webhook_url is None:
        return LogOnlyNotifier()
    secret = settings.secret("operator_webhook_secret")
    client = await until_exit.enter_async_context(open_client())
    return WebhookNotifier(client, url=settings.operator_webhook_url, secret=secret)


def _chores(settings: Settings) -> tuple[Chore, ...]:
    """Say what Temporal is to start by itself, and how often."""
    return (
        Chore(
            workflow=ESCALATE_DEAD_LETTERS,
            question=Ladder(rungs=settings.escalate_after),
            every=settings.escalate_every,
            says="tell operators of dead letters that wait for them",
        ),
        Chore(
            workflow=RECONCILE,
            question=ReconcileOrder(in_portions=True),
            every=settings.reconcile_every,
            says="compare what Temporal, the store, providers and files remember",
        ),
    )


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
    await ensure_schedules(client, _chores(settings))
    async with AsyncExitStack() as until_exit:
        parts = await build_worker(client, settings, until_exit=until_exit)
        listening = asyncio.create_task(parts.callbacks.listen())
        guarding = asyncio.create_task(parts.queue.guard())
        async with parts.worker:
            log.info("worker_started", task_queue=TASK_QUEUE, temporal=settings.temporal_address)
            await asyncio.wait(
                {listening, guarding, asyncio.create_task(stop.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
        for side in (listening, guarding):
            if side.done():
                side.result()  # it never ends by itself: show why it did
            side.cancel()
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
