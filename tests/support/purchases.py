"""Purchases, and as many attempts at them as a test wants, each of which may die anywhere."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random

from temporalio.testing import ActivityEnvironment

from activities.adoption import CallbackWatch
from activities.generate import GenerateActivities
from activities.keeping import PictureKeeper
from activities.ledger_walk import AskingPlan, Darkbench
from darkroom.domain.attempts import GenerateOrder, PictureAttempt
from darkroom.domain.job import ImageSpec
from darkroom.domain.ledger import (
    CallKey,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    TakeOpening,
)
from darkroom.domain.permits import CallTerms, Held
from darkroom.domain.ports import Bought, ImageProvider, PictureCheck, PictureOrder
from darkroom.domain.prompts import EnhancedPrompt, KeptPrompt
from tests.support.builders import ADA, JOB
from tests.support.fake_providers import FakeFileStore, FakeImageProvider
from tests.support.fakes import MemoryCallLedger, MemoryDoorbell, MemoryPromptCache, MemoryState
from tests.support.passages import a_passage
from tests.support.workers import FakePictureCheck

PROMPT_KEY = "p" * 64
TAKE = CallKey(job=JOB, item="0001", take=1)
ORDER = GenerateOrder(
    job_id=JOB,
    owner=ADA,
    item="0001",
    take=1,
    prompt_key=PROMPT_KEY,
    image=ImageSpec(model="nano-banana-2"),
    product=(),
)
QUICK = AskingPlan(
    first=timedelta(milliseconds=1),
    longest=timedelta(milliseconds=2),
    deadline=timedelta(milliseconds=50),
)


class Killed(BaseException):
    """The process is gone, in the middle of whatever it did."""


class FragileLedger(MemoryCallLedger):
    """Dies before or after the n-th question, or only answers when it likes."""

    def __init__(self, state: MemoryState, *, dies_at: int | None = None, seed: int = 0) -> None:
        super().__init__(state)
        self._dies_at = dies_at
        self._chance = Random(seed)
        self.asked = 0

    async def open(self, opening: TakeOpening) -> LedgerRow:
        await self._live()
        row = await super().open(opening)
        await self._live()
        return row

    async def move(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
        await self._live()
        moved = await super().move(row, to, changes)
        await self._live()
        return moved

    async def call(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        await self._live()
        called = await super().call(row, terms)
        await self._live()
        return called

    async def _live(self) -> None:
        self.asked += 1
        if self.asked == self._dies_at:
            raise Killed
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)


class OneAccount(FakeImageProvider):
    """A provider whose replies take a moment; it knows every task it was asked for."""

    async def submit(self, order: PictureOrder) -> Bought:
        bought = await super().submit(order)
        await asyncio.sleep(0)
        return bought


class Premises:
    """One state, one file store, and attempts at any order with any provider."""

    def __init__(self, *, pictures: PictureCheck | None = None) -> None:
        self.state = MemoryState()
        self.pictures = pictures or FakePictureCheck()
        self.ledger = MemoryCallLedger(self.state)
        self.files = FakeFileStore()
        self.told: tuple[str, ...] = ()  # by the last heartbeat

    async def prepare(self) -> None:
        """Keep the prompt that the order names."""
        text = EnhancedPrompt(text="a lamp at noon", model="fake", cost_micros=1)
        kept = KeptPrompt(key=PROMPT_KEY, job_id=JOB, prompt=text)
        await MemoryPromptCache(self.state).keep(kept)

    async def develop(
        self,
        order: GenerateOrder,
        provider: ImageProvider,
        *,
        env: ActivityEnvironment | None = None,
        ledger: MemoryCallLedger | None = None,
    ) -> PictureAttempt:
        """Make one attempt, as the worker would."""
        env, used = env or ActivityEnvironment(), ledger or self.ledger
        env.on_heartbeat = self._hear
        bench = Darkbench(
            ledger=used,
            cache=MemoryPromptCache(self.state),
            keeper=PictureKeeper(files=self.files, pictures=self.pictures, max_bytes=1 << 20),
            callbacks=CallbackWatch(ledger=used, doorbell=MemoryDoorbell(self.state)),
            passage=a_passage(self.state, ledger=used),
            asking=QUICK,
        )
        providers = {order.image.provider: provider}
        activities = GenerateActivities(providers=providers, bench=bench)
        return (await env.run(activities.generate, order)).attempt

    def _hear(self, *details: str) -> None:
        self.told = details


class Room(Premises):
    """One fake provider, and as many attempts at one order as a test wants."""

    def __init__(
        self, provider: FakeImageProvider | None = None, *, pictures: PictureCheck | None = None
    ) -> None:
        super().__init__(pictures=pictures)
        self.provider = provider or OneAccount(grace=timedelta(milliseconds=30))

    async def attempt(
        self, ledger: MemoryCallLedger | None = None, *, heartbeat: tuple[str, ...] = ()
    ) -> PictureAttempt:
        """Make one attempt that finds what a heartbeat has told."""
        env = ActivityEnvironment()
        env.info = replace(env.info, heartbeat_details=heartbeat)
        return await self.attempt_in(env, ledger)

    async def attempt_in(
        self, env: ActivityEnvironment, ledger: MemoryCallLedger | None = None
    ) -> PictureAttempt:
        """Make one attempt that the test can cancel."""
        return await self.develop(ORDER, self.provider, env=env, ledger=ledger)

    async def row(self) -> LedgerRow:
        """Read the purchase."""
        (row,) = await self.ledger.rows([TAKE])
        return row
