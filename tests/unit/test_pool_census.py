"""What a pool without a memory finds out, and what a look at the holders tells it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from temporalio.testing import ActivityEnvironment

from activities.admission import CensusQuestion, Gone, Look, LookQuestion, PoolActivities
from darkroom.domain.admission import Holder, PoolPlan, PoolTerms, QueueTerms, SlotClaim, SlotGrant
from darkroom.domain.names import SLOT_POOL_ID
from darkroom.domain.ports import JobRun
from darkroom.domain.slot_book import Held, Stock, unpacked
from tests.support.builders import ADA, NOW
from tests.support.databases import memory_queues
from tests.support.fakes import MemoryState
from tests.support.queueing import a_holder, a_slot_request

PLAN = PoolPlan(grace=timedelta(seconds=35))
SOONER = NOW - timedelta(seconds=10)


@dataclass(kw_only=True)
class ToldRuns:
    """What Temporal would say, as the test tells it."""

    open_runs: list[JobRun] = field(default_factory=list[JobRun])
    ended: list[JobRun] = field(default_factory=list[JobRun])
    claims: dict[str, SlotClaim] = field(default_factory=dict[str, SlotClaim])  # by run id
    forgotten: set[str] = field(default_factory=set[str])
    other_pools: bool = False

    async def running(self) -> tuple[JobRun, ...]:
        return tuple(replace(run, first_run_id=None) for run in self.open_runs)

    async def ended_since(self, moment: datetime) -> tuple[JobRun, ...]:
        return tuple(run for run in self.ended if run.closed_at and run.closed_at >= moment)

    async def run_of(self, workflow_id: str, *, run_id: str | None = None) -> JobRun | None:
        known = [*self.ended, *self.open_runs]
        fitting = [one for one in known if one.workflow_id == workflow_id]
        found = [one for one in fitting if run_id in {None, one.run_id}]
        return found[-1] if found and workflow_id not in self.forgotten else None

    async def slot_claim(self, run: JobRun) -> SlotClaim | None:
        return self.claims.get(run.run_id)

    async def is_alone(self, workflow_id: str, run_id: str, *, since: datetime) -> bool:
        del workflow_id, run_id, since
        return not self.other_pools


def a_run(name: str = "job_1", *, closed_at: datetime | None = None) -> JobRun:
    """Run a job since a while ago."""
    return JobRun(
        workflow_id=name,
        run_id=f"{name}/now",
        first_run_id="run-1",
        owner=ADA,
        started_at=SOONER,
        closed_at=closed_at,
    )


def a_claim(name: str = "job_1", *, is_waiting: bool = False, holds: bool = False) -> SlotClaim:
    """Answer for a job."""
    grant = SlotGrant(holder=a_holder(name), token="token", granted_at=SOONER) if holds else None
    return SlotClaim(request=a_slot_request(name), is_waiting=is_waiting, grant=grant)


def activities(runs: ToldRuns) -> PoolActivities:
    """Give the pool's activities what they ask."""
    seeds = PoolTerms(terms=QueueTerms(concurrency=5), plan=PLAN)
    return PoolActivities(seeds=seeds, queues=memory_queues(MemoryState()), runs=runs)


async def census(runs: ToldRuns) -> Stock:
    """Count now."""
    question = CensusQuestion(at=NOW, pool_id=SLOT_POOL_ID, plan=PLAN)
    return await ActivityEnvironment().run(activities(runs).census, question)


async def look(runs: ToldRuns, *holders: Holder, silent: tuple[Holder, ...] = ()) -> Look:
    """Look at holders now."""
    question = LookQuestion(at=NOW, holders=holders, silent=silent)
    return await ActivityEnvironment().run(activities(runs).look, question)


async def test_everybody_is_taken_at_their_word() -> None:
    """Some hold, some wait, and some need no slot at the moment."""
    names = ("holds", "waits", "rests")
    runs = ToldRuns(open_runs=[a_run(name) for name in names])
    runs.claims = {
        "holds/now": a_claim("holds", holds=True),
        "waits/now": a_claim("waits", is_waiting=True),
        "rests/now": a_claim("rests"),
    }

    stock = await census(runs)

    assert stock.holding == (
        Held(holder=a_holder("holds"), owner=ADA, granted_at=SOONER, token="token"),
    )
    assert [request.holder for request in unpacked(stock.waiting)] == [a_holder("waits")]
    assert stock.is_settled


async def test_a_job_that_does_not_answer_may_hold_a_slot() -> None:
    """It is named as the pool would name it, by its first run."""
    stock = await census(ToldRuns(open_runs=[a_run()]))

    assert stock.holding == (Held(holder=a_holder(), owner=ADA, granted_at=SOONER),)


async def test_a_job_that_temporal_has_forgotten_holds_nothing() -> None:
    """The list was late."""
    stock = await census(ToldRuns(open_runs=[a_run()], forgotten={"job_1"}))

    assert stock.holding == ()


async def test_a_job_that_was_ended_holding_a_slot_keeps_it_for_the_grace() -> None:
    """Its activity may still be calling; one that waited has nothing that could."""
    runs = ToldRuns(ended=[a_run(name, closed_at=SOONER) for name in ("held", "waited", "silent")])
    runs.claims = {
        "held/now": a_claim("held", holds=True),
        "waited/now": a_claim("waited", is_waiting=True),
    }

    stock = await census(runs)

    assert [(one.holder.workflow_id, one.free_at) for one in stock.holding] == [
        ("held", SOONER + PLAN.grace),
        ("silent", SOONER + PLAN.grace),
    ]
    assert not list(unpacked(stock.waiting))


async def test_a_job_that_was_reset_lives() -> None:
    """The run that the reset ended is the same holder."""
    runs = ToldRuns(open_runs=[a_run()])
    runs.ended = [replace(a_run(closed_at=SOONER), run_id="before")]
    runs.claims = {"job_1/now": a_claim(holds=True), "before": a_claim(holds=True)}

    (held,) = (await census(runs)).holding

    assert held.free_at is None


async def test_a_pool_that_follows_another_is_not_settled() -> None:
    """A grant of the one before may still be on its way."""
    assert not (await census(ToldRuns(other_pools=True))).is_settled


async def test_a_look_finds_whose_run_is_over() -> None:
    """Closed, given way to a retry, or forgotten; the living are not mentioned."""
    runs = ToldRuns(
        open_runs=[a_run("lives"), replace(a_run("retried"), first_run_id="run-2")],
        ended=[a_run("closed", closed_at=SOONER)],
    )
    names = ("lives", "closed", "retried", "nobody")

    found = await look(runs, *(a_holder(name) for name in names))

    assert found.gone == (
        Gone(holder=a_holder("closed"), closed_at=SOONER),
        Gone(holder=a_holder("retried"), closed_at=SOONER),
        Gone(holder=a_holder("nobody"), closed_at=NOW),
    )
    assert found.answered == ()


async def test_a_look_asks_the_silent_again() -> None:
    """Those that live; the others are not asked."""
    runs = ToldRuns(open_runs=[a_run("one"), a_run("two")])
    runs.claims = {f"{name}/now": a_claim(name, holds=True) for name in ("one", "two")}

    found = await look(runs, a_holder("one"), a_holder("two"), silent=(a_holder("two"),))

    assert found.answered == (a_claim("two", holds=True),)
