"""Jobs that Temporal and the store remember differently.

The start of a run is the fence: Temporal lets nobody start a job's workflow while one of it is
running, and the store gives the job only to a run that names the writer it saw gone.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from activities.rounds import PAGE, Tally
from darkroom.domain.checkpoint import JobSnapshot, LiveJob
from darkroom.domain.drift import (
    STUCK_ATTEMPTS,
    RunStatus,
    RunView,
    WrittenJob,
    lost,
    taking_over,
)
from darkroom.domain.job import JobId, JobStart, Repair
from darkroom.domain.lifecycle import TERMINAL_STATES, JobState
from darkroom.domain.names import CANCEL, PAUSE
from darkroom.domain.ports import Inventory, JobTruth

OPEN_STATES = tuple(state for state in JobState if state not in TERMINAL_STATES)
# A run claims its job within milliseconds, and this long after an outage of the store.
CLAIM_PATIENCE = timedelta(seconds=60)
# Of jobs that ended longer ago, only what the store remembers counts.
ENDED_WITHIN = timedelta(days=3)
FLUSH_PATIENCE = timedelta(seconds=30)
FLUSH_ATTEMPTS = 2  # of the activity that writes the log; a first one may just have begun


def restored_writer(run: RunView) -> str:
    """Name the writer of a row that was written anew, so that its old run writes no more."""
    return f"restored:{run.first_run_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWorkflows:
    """Open in the store, but nobody runs it: lost with Temporal's data, or ended from outside.

    What Temporal no longer knows is started again. What somebody terminated, or what failed,
    is ended as failed, so that it becomes a dead letter: to go on with it is theirs to say.
    """

    inventory: Inventory
    truth: JobTruth

    async def go(self, tally: Tally) -> None:
        """Ask Temporal about every open job."""
        for state in OPEN_STATES:
            async for job in self._jobs_in(state):
                tally.look()
                run = await self.truth.run_of(job.start.job_id)
                if not (run and run.is_running) and await self._stands(job):
                    told = f"is {run.status} in Temporal" if run else "is unknown to Temporal"
                    why = f"the job is {job.snapshot.state}, and its workflow {told}"
                    mend = partial(self._mend, job.start.job_id, run)
                    await tally.note(job.start.job_id, why, mend)

    async def _jobs_in(self, state: JobState) -> AsyncIterator[WrittenJob]:
        place = None
        while page := await self.inventory.jobs_in(state, after=place, limit=PAGE):
            for job in page:
                yield job
            place = page[-1].place

    async def _stands(self, job: WrittenJob) -> bool:
        """Look again: a run writes its end before it is over, so it is there by now."""
        return await self.inventory.written(job.start.job_id) == job

    async def _mend(self, job_id: JobId, run: RunView | None) -> str:
        job = await self.inventory.written(job_id)
        if job is None or job.snapshot.state.is_terminal:
            return ""
        if run is None or run.status is RunStatus.COMPLETED:
            is_started = await self.truth.restart(taking_over(job))
            return "started again from its checkpoint" if is_started else ""
        if run.status is RunStatus.CANCELED:
            is_started = await self.truth.restart(taking_over(job), then=CANCEL)
            return "started again to end as cancelled" if is_started else ""
        failure = await self.truth.end_of(run)
        is_started = await self.truth.restart(taking_over(job, failure))
        return f"ended as failed ({failure.code}): a dead letter" if is_started else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckTasks:
    """A workflow that fails its own task again and again; the job becomes a dead letter."""

    inventory: Inventory
    truth: JobTruth
    attempts: int = STUCK_ATTEMPTS

    async def go(self, tally: Tally) -> None:
        """Ask Temporal about every running job."""
        async for job_id in self.truth.running():
            tally.look()
            run = await self.truth.run_of(job_id)
            if run and run.is_running and run.task_attempt > self.attempts:
                why = f"its workflow task is at attempt {run.task_attempt}"
                await tally.note(job_id, why, partial(self._mend, run, why))

    async def _mend(self, run: RunView, why: str) -> str:
        failure = lost(f"{why}, so it was taken out of work", code="workflow_stuck")
        start = replace(await self.truth.start_of(run), repair=Repair(writer="", failure=failure))
        job = await self._remembered(run, start)
        if not job.snapshot.state.is_terminal:
            start = taking_over(job, failure)
        await self.truth.terminate(run, reason=f"reconcile: {why}")
        if job.snapshot.state is JobState.COMPLETED:
            return "terminated: the job was completed already"
        await self.truth.restart(start)
        return "terminated and ended as failed (workflow_stuck): a dead letter"

    async def _remembered(self, run: RunView, start: JobStart) -> WrittenJob:
        """Read the job, written first if its run never came to claim it."""
        job = await self.inventory.written(start.job_id)
        if job is None:
            snapshot = JobSnapshot(run=start.expected_run + 1)
            job = WrittenJob(start=start, snapshot=snapshot, writer=restored_writer(run))
            await self.inventory.restore(job, ())
        return job


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRows:
    """The store has forgotten what Temporal knows: the database was restored to an earlier time.

    Such a run writes no more, so whatever it goes on to do is lost. What it knows is written
    down, and a run of its own takes the job over. Of a job that is over, only the row is written
    again: open, so that the round after this one brings it to the end that Temporal tells.
    """

    inventory: Inventory
    truth: JobTruth
    patience: timedelta = CLAIM_PATIENCE

    async def go(self, tally: Tally) -> None:
        """Look for the row of every running job."""
        async for job_id in self.truth.running():
            now = tally.look()
            run = await self.truth.run_of(job_id)
            if run and run.is_running and now - run.started_at > self.patience:
                await self._look_at(job_id, run, tally)
        if not tally.order.in_portions:
            await self._look_back(tally)

    async def _look_back(self, tally: Tally) -> None:
        """Look for the row of every job that ended lately."""
        async for job_id in self.truth.ended_since(datetime.now(UTC) - ENDED_WITHIN):
            tally.look()
            if await self.inventory.written(job_id) is not None:
                continue
            run, live = await self.truth.run_of(job_id), await self.truth.live(job_id)
            if run and not run.is_running and live and _has_written(live, None):
                why = f"it is {run.status} in Temporal, and the store knows nothing of it"
                await tally.note(job_id, why, partial(self._remember, run, live))

    async def _look_at(self, job_id: JobId, run: RunView, tally: Tally) -> None:
        job = await self.inventory.written(job_id)
        if job and job.writer == run.first_run_id:
            return
        live = await self.truth.live(job_id)
        is_half_mended = job is not None and job.writer == restored_writer(run)
        if live is None or not (is_half_mended or _has_written(live, job)):
            return  # it has not claimed the job yet, or nobody can say
        if await self.inventory.written(job_id) != job:
            return
        seq = live.record.snapshot.seq
        known = f"event {job.snapshot.seq} of run {job.snapshot.run}" if job else "nothing of it"
        why = f"its workflow has told {seq} events, and the store knows {known}"
        await tally.note(job_id, why, partial(self._mend, run, live))

    async def _remember(self, run: RunView, live: LiveJob) -> str:
        snapshot = live.record.snapshot
        forgotten = WrittenJob(
            start=live.record.start,
            snapshot=JobSnapshot(run=snapshot.run, priority=snapshot.priority),
            writer=restored_writer(run),
        )
        is_news = await self.inventory.restore(forgotten, live.record.items)
        return f"written again with {len(live.record.items)} items" if is_news else ""

    async def _mend(self, run: RunView, live: LiveJob) -> str:
        start, snapshot = live.record.start, live.record.snapshot
        await self._remember(run, live)
        await self.truth.terminate(run, reason="reconcile: the store had forgotten this run")
        job = await self.inventory.written(start.job_id)
        if job is None:
            return ""
        again = replace(live.record.start, expected_run=job.snapshot.run, repair=None)
        if not job.snapshot.state.is_terminal:
            again = taking_over(job)
        then = PAUSE if snapshot.state is JobState.PAUSED else None
        await self.truth.restart(again, then=then)
        return f"taken over by run {job.snapshot.run + 1} with {len(live.record.items)} items"


def _has_written(live: LiveJob, job: WrittenJob | None) -> bool:
    """Say whether a run is ahead of the row, which it would be told as soon as it claimed."""
    snapshot = live.record.snapshot
    if job is None:
        return snapshot.seq > len(live.unflushed)
    return snapshot.run > job.snapshot.run and snapshot.seq > job.snapshot.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class UnflushedEvents:
    """Told by the workflow, not yet written. Only reported: the run itself tries without end."""

    truth: JobTruth
    patience: timedelta = FLUSH_PATIENCE

    async def go(self, tally: Tally) -> None:
        """Look into the runs whose write of the log is being tried again."""
        async for job_id in self.truth.running():
            now = tally.look()
            run = await self.truth.run_of(job_id)
            if run is None or run.record_attempt < FLUSH_ATTEMPTS:
                continue
            live = await self.truth.live(job_id)
            late = [one for one in live.unflushed if now - one.at > self.patience] if live else []
            if late:
                why = f"{len(late)} events from number {late[0].seq} on wait to be written"
                await tally.note(job_id, why)
