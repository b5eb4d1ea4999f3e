"""Jobs of one owner that choose at the same moment, over a real database, share nothing."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random

from temporalio.testing import ActivityEnvironment

from activities.analyze import AnalyzeActivities
from darkroom.domain.attempts import AnalyzeOrder
from darkroom.domain.difference import Certificate, DifferenceRequest, DifferenceResult, Proof
from darkroom.domain.job import Combination, JobId, OwnerId
from darkroom.domain.ports import Reservations
from tests.support.builders import ADA, a_job_id
from tests.support.databases import Stores, sql_stores
from tests.support.differences import a_request

pytest_plugins = ["tests.support.databases"]

JOBS_AT_ONCE = 8
JOBS_IN_A_ROW = 5
DRAWN_BY_ONE_JOB = 2_500
DRAWS = 100_000


class ChanceDifferentiator:
    """Chooses by lot, and so alike now and then, at no cost; the real one has a test like this."""

    def choose(self, request: DifferenceRequest) -> DifferenceResult:
        chance, chosen = Random(request.seed), dict[Combination, None]()
        while len(chosen) < request.count:
            drawn = tuple((d.name, chance.choice(d.options)) for d in request.dimensions)
            if drawn not in request.exclusions:
                chosen[drawn] = None
        worth = Certificate(achieved=1.0, bound=1.0, bound_by=Proof.SINGLETON)
        return DifferenceResult(combinations=tuple(chosen), min_distance=1.0, certificate=worth)


class CountedReservations:
    """Reservations that count what was taken already."""

    def __init__(self, reservations: Reservations) -> None:
        self._reservations = reservations
        self.conflicts = 0

    async def reserve(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> tuple[Combination, ...]:
        taken = await self._reservations.reserve(owner, job_id, combinations)
        self.conflicts += len(taken)
        return taken

    async def keep(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> None:
        await self._reservations.keep(owner, job_id, combinations)

    async def release(self, job_id: JobId) -> None:
        await self._reservations.release(job_id)


class Drawer:
    """One process that analyzes one job after the other."""

    def __init__(self, stores: Stores) -> None:
        self.reservations = CountedReservations(stores.reservations)
        self._activities = AnalyzeActivities(
            differentiator=ChanceDifferentiator(),
            jobs=stores.jobs,
            reservations=self.reservations,
        )

    async def draw(self, first: int) -> list[Combination]:
        """Analyze jobs that count from here; answers all that they chose."""
        request = a_request(*[10] * 7, count=DRAWN_BY_ONE_JOB)
        drawn: list[Combination] = []
        for number in range(first, first + JOBS_IN_A_ROW):
            order = AnalyzeOrder(
                job_id=a_job_id(number),
                owner=ADA,
                request=replace(request, seed=number),
                avoids_history=True,
            )
            analyzed = await ActivityEnvironment().run(self._activities.analyze, order)
            assert analyzed.failure is None
            drawn += analyzed.combinations
        return drawn


async def test_a_hundred_thousand_draws_of_eight_jobs_at_once_hold_no_duplicate(
    database_url: str,
) -> None:
    """Out of 10^7, jobs that do not see each other choose alike now and then, and draw again."""
    async with AsyncExitStack() as until_exit:
        drawers = [
            Drawer(await until_exit.enter_async_context(sql_stores(database_url)))
            for _ in range(JOBS_AT_ONCE)
        ]
        drawing = [drawer.draw(1 + JOBS_IN_A_ROW * n) for n, drawer in enumerate(drawers)]
        drawn = await asyncio.gather(*drawing)

    everything = [combination for share in drawn for combination in share]
    assert len(everything) == len(set(everything)) == DRAWS
    assert sum(drawer.reservations.conflicts for drawer in drawers) > 0
