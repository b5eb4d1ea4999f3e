"""What is left after a blow: the promises as figures, one line a scenario."""

import contextlib
import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.job import JobId
from darkroom.domain.ledger import PAID, LedgerRow, LedgerState
from tests.chaos.provider_books import PaidCall, bought_twice, most_jobs_at_once, paid_calls
from tests.support.stacks import FINAL, Running
from tests.support.waiting import eventually

FULL = frozenset({"full"})
IN_ANY_WAY = frozenset({"full", "partial", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """The figures of one scenario, and what lies behind those that are not as promised."""

    scenario: str
    seconds: float
    bought_twice: int
    jobs_lost: tuple[str, ...]
    events_missing: int
    most_at_once: int
    limit: int
    bill_differs: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"chaos  {self.scenario}: went on after {self.seconds:.1f} s, "
            f"pictures bought twice {self.bought_twice}, jobs lost {len(self.jobs_lost)}, "
            f"events missing {self.events_missing}, "
            f"most jobs at once {self.most_at_once} (limit {self.limit})"
        )

    def broken_promises(self) -> tuple[str, ...]:
        """Say what is not as promised, each with its scenario."""
        figures = {
            "pictures bought twice": self.bought_twice,
            "events missing": self.events_missing,
            "jobs above the limit": max(0, self.most_at_once - self.limit),
        }
        told = [f"{count} {what}" for what, count in figures.items() if count]
        return tuple(
            f"{self.scenario}: {one}" for one in (*told, *self.jobs_lost, *self.bill_differs)
        )

    def assert_promises_kept(self) -> None:
        """Nothing lost, nothing twice, nothing missing, never too many, and the bill is ours."""
        broken = self.broken_promises()
        assert not broken, "\n".join(broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """What a scenario was about: its name, whom it met, and when they went on."""

    scenario: str
    jobs: Collection[JobId]
    seconds: float | None  # none: the longest silence in the logs
    limit: int
    outcomes: Mapping[JobId, frozenset[str]]  # where anything but "full" may come of a job
    within_seconds: float = 90.0

    def allows(self, job_id: JobId) -> frozenset[str]:
        """Say how a job may end."""
        return self.outcomes.get(job_id, FULL)


async def aftermath(running: Running, blow: Blow) -> Aftermath:
    """Wait until every job is over, then compare what everybody remembers."""
    lost = [told for job_id in blow.jobs if (told := await _lost(running, job_id, blow))]
    everything = await paid_calls(running)
    calls = [call for call in everything if not call.call or call.job in blow.jobs]
    rows = [row for job_id in blow.jobs for row in await running.ledger.of_job(job_id)]
    return Aftermath(
        scenario=blow.scenario,
        seconds=await _silence(running, blow) if blow.seconds is None else blow.seconds,
        bought_twice=bought_twice(calls),
        jobs_lost=tuple(lost),
        events_missing=sum([await _missing(running, job_id) for job_id in blow.jobs]),
        most_at_once=most_jobs_at_once(everything),
        limit=blow.limit,
        bill_differs=tuple(differences(rows, calls)),
    )


async def _lost(running: Running, job_id: JobId, blow: Blow) -> str | None:
    """Say what became of a job that did not end as it must."""
    try:
        await eventually(
            lambda: over(running, job_id),
            within_seconds=blow.within_seconds,
            what=f"the end of {job_id}",
        )
    except AssertionError as waited:
        record = await record_of(running, job_id)
        return f"{waited}; it is {record.get('status')}, waiting: {record.get('waiting')}"
    record = await running.job(job_id)
    if record["outcome"] in blow.allows(job_id):
        return None
    errors = [f"{error['item']}: {error['message']}" for error in record["result"]["errors"]]
    return f"{job_id} ended {record['status']}, {record['outcome']}: {errors}"


async def over(running: Running, job_id: JobId) -> bool:
    """Say whether a job has ended."""
    return (await record_of(running, job_id)).get("status") in FINAL


async def all_over(running: Running, jobs: Collection[JobId], *, within_seconds: float) -> None:
    """Wait until all jobs have ended, or until the time is over: `aftermath` tells the rest."""
    left = set(jobs)

    async def none_is_left() -> bool:
        for job_id in tuple(left):
            if await over(running, job_id):
                left.discard(job_id)
        return not left

    with contextlib.suppress(AssertionError):
        await eventually(none_is_left, within_seconds=within_seconds, what="the end of all jobs")


async def record_of(running: Running, job_id: JobId) -> dict[str, Any]:
    """Read a job's record; empty while the gateway is being restarted."""
    with contextlib.suppress(httpx.TransportError):
        return await running.job(job_id)
    return {}


async def _silence(running: Running, blow: Blow) -> float:
    """Find the longest time that any of the jobs told nothing, once it had begun."""
    logs = [await running.events(job_id) for job_id in blow.jobs]
    pauses = [
        (later.at - sooner.at).total_seconds()
        for log in logs
        for sooner, later in itertools.pairwise(log)
        if sooner.kind is not EventKind.JOB_SUBMITTED
    ]
    return max(pauses, default=0.0)


async def _missing(running: Running, job_id: JobId) -> int:
    """Count the numbers that a job's log lacks once its last event had time to be written."""
    promised = (await running.job(job_id)).get("seq", 0)

    async def all_written() -> bool:
        return numbers_missing(await running.events(job_id), promised=promised) == 0

    with contextlib.suppress(AssertionError):  # what is missing then is counted
        await eventually(all_written, what=f"the last event of {job_id}")
    return numbers_missing(await running.events(job_id), promised=promised)


def numbers_missing(events: Iterable[JobEvent], *, promised: int) -> int:
    """Count the gaps and repeats in 1..promised, and falls of progress."""
    told = tuple(events)
    gaps = len(set(range(1, promised + 1)) ^ {event.seq for event in told})
    repeats = len(told) - len({event.seq for event in told})
    percents = [event.progress.percent for event in told]
    falls = sum(later < sooner for sooner, later in itertools.pairwise(percents))
    return gaps + repeats + falls


def differences(rows: Iterable[LedgerRow], calls: Iterable[PaidCall]) -> Iterable[str]:
    """Name every purchase that our ledger and the provider's bill do not agree on.

    A purchase that the ledger itself calls unknown may stand on the bill or not.
    """
    kept = tuple(rows)
    unknown = {str(row.key) for row in kept if row.state is LedgerState.UNKNOWN}
    ours = {str(row.key): row.price_micros for row in kept if row.state in PAID}
    theirs = {call.call: call.amount_micros for call in calls if call.is_picture and call.billed}
    for call in sorted((ours.keys() | theirs.keys()) - unknown):
        if ours.get(call) != theirs.get(call):
            yield f"{call}: our ledger says {ours.get(call)}, the bill says {theirs.get(call)}"
