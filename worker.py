"""Composition root of the worker process: the only place where its rooms meet."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
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
from darkroom.domain.permits import CallLimits
from darkroom.domain.ports import (
    Doorbell,
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
from darkroom.store.threads import ThreadedEngine
from workflows.image_job import ImageJobWorkflow
from workflows.options import HEARTBEAT_TIMEOUT, STICKY_QUEUE_TIMEOUT, WORKFLOW_TASK_TIMEOUT
from workflows.provider_gate import ProviderGateWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.schedules import EscalateWorkflow
from workflows.slot_pool import SlotPoolWorkflow

log = structlog.get_logger()

RECONNECT_SECONDS = 1.0

# Between the end of a call and the moment at which every worker can know of it.
ANSWER_MARGIN = timedelta(seconds=15)

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
class _Gates:
    """What decides whether a paid call may be made."""

    board: SqlGateBoard
    signals: TemporalGateSignals
    passage: Passage


async def build_worker(
    client: Client, settings: Settings, *, until_exit: AsyncExitStack
) -> WorkerParts:
    """Wire every room to a worker; `until_exit` closes what was opened."""
    queue = TemporalQueueSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT)
    callbacks, activities = await _activities(client, settings, until_exit)
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
    return WorkerParts(worker=worker, callbacks=callbacks, queue=queue)


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
    gates = _gates(client, settings, engine)
    queue = TemporalQueueSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT)
    pool: PoolPorts = {
        "seeds": _seeds(settings),
        "queues": SqlQueueStore(engine),
        "runs": TemporalJobRuns(client),
    }
    keeper = PictureKeeper(
        files=files, pictures=PillowPictureCheck(), max_bytes=settings.max_picture_bytes
    )
    providers = await _providers(settings, until_exit, SqlFileCatalog(engine), files)
    rounds = _rounds(client, engine, files=files, keeper=keeper, providers=providers)
    bench = Darkbench(
        ledger=ledger,
        cache=cache,
        keeper=keeper,
        callbacks=callbacks,
        passage=gates.passage,
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
            gate=_enhance_gate(settings, gates.passage),
        ).enhance,
        GenerateActivities(providers=providers, bench=bench).generate,
        FinishActivities(ledger=ledger, cache=cache, files=files).finish,
        ControlActivities(TemporalJobSignals(client)).stop,
        GateActivities(board=gates.board, signals=gates.signals).read_gate,
        GateActivities(board=gates.board, signals=gates.signals).move_gate,
        GateActivities(board=gates.board, signals=gates.signals).park,
        SlotActivities(queue).request,
        SlotActivities(queue).release,
        PoolActivities(**pool).terms,
        PoolActivities(**pool).decide,
        PoolActivities(**pool).census,
        PoolActivities(**pool).look,
        ReconcileActivities(rounds, SqlAuditLog(engine)).look_for,
        ReconcileActivities(rounds, SqlAuditLog(engine)).file_report,
        EscalationActivities(
            letters=SqlDeadLetterStore(engine), notifier=await _notifier(settings, until_exit)
        ).escalate,
    )


def _rounds(
    client: Client,
    engine: ThreadedEngine,
    *,
    files: FileStore,
    keeper: PictureKeeper,
    providers: Mapping[str, ImageProvider],
) -> dict[DriftKind, Round]:
    """Give every round of reconcile what it compares."""
    inventory, ledger = SqlInventory(engine), SqlCallLedger(engine)
    truth = TemporalJobTruth(client, RestartTerms(task_timeout=WORKFLOW_TASK_TIMEOUT))
    collecting = LateCollecting(
        ledger=ledger, inventory=inventory, providers=providers, keeper=keeper
    )
    return {
        DriftKind.STUCK_TASK: StuckTasks(inventory=inventory, truth=truth),
        DriftKind.LOST_ROW: LostRows(inventory=inventory, truth=truth),
        DriftKind.LOST_WORKFLOW: LostWorkflows(inventory=inventory, truth=truth),
        DriftKind.UNATTACHED_PURCHASE: UnattachedPurchases(
            inventory=inventory, jobs=SqlJobStore(engine), truth=truth, collecting=collecting
        ),
        DriftKind.UNKNOWN_PURCHASE: UnknownPurchases(inventory=inventory),
        DriftKind.LOST_FILE: LostFiles(
            inventory=inventory, files=files, ledger=ledger, keeper=keeper, providers=providers
        ),
        DriftKind.UNFLUSHED_EVENTS: UnflushedEvents(truth=truth),
        DriftKind.LEAKED_SLOT: LeakedSlots(
            truth=truth,
            runs=TemporalJobRuns(client),
            signals=TemporalQueueSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT),
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


def _gates(client: Client, settings: Settings, engine: ThreadedEngine) -> _Gates:
    """Put a gate before every paid call of this process."""
    board = SqlGateBoard(engine)
    signals = TemporalGateSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT)
    passage = Passage(
        ledger=SqlCallLedger(engine),
        board=board,
        signals=signals,
        plan=BreakerPlan(
            failures=settings.breaker_failures,
            cooldown=settings.breaker_cooldown,
            longest=settings.breaker_longest_cooldown,
        ),
        limits=_limits(settings),
        chance=Random(),  # noqa: S311 -- spreads waits; nothing is kept secret by it
    )
    return _Gates(board=board, signals=signals, passage=passage)


def _enhance_gate(settings: Settings, passage: Passage) -> EnhanceGate:
    return EnhanceGate(
        passage=passage,
        key=GateKey(provider=DEEPSEEK, model=settings.deepseek_model),
        fallback=settings.enhance_fallback,
    )


def _limits(settings: Settings) -> dict[str, CallLimits]:
    """Say how many calls each provider takes from all workers together."""
    return {
        NANOBANANA: CallLimits(
            concurrency=settings.nanobanana_concurrency,
            per_minute=settings.nanobanana_per_minute,
            per_hour=settings.nanobanana_per_hour,
            counted_within=settings.nanobanana_collect_deadline,
            answered_within=settings.nanobanana_post_deadline + ANSWER_MARGIN,
        ),
        GEMINI: CallLimits(
            concurrency=settings.gemini_concurrency,
            per_minute=settings.gemini_per_minute,
            per_hour=settings.gemini_per_hour,
            answered_within=settings.gemini_post_deadline + ANSWER_MARGIN,
        ),
        DEEPSEEK: CallLimits(
            per_minute=settings.deepseek_per_minute,
            per_hour=settings.deepseek_per_hour,
            answered_within=settings.deepseek_deadline + ANSWER_MARGIN,
        ),
    }


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
