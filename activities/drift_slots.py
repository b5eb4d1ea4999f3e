"""Slots whose holders do not use them any more, nor will give them back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from activities.rounds import Tally
from darkroom.domain.admission import Holder, SlotRelease, WorkingJob
from darkroom.domain.ports import JobRuns, JobTruth, QueueSignals

# The pool looks after its holders by itself, and keeps the slot of a closed run for a grace.
LEAK_PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedSlots:
    """Given back in the holder's place, under the token of that one grant."""

    truth: JobTruth
    runs: JobRuns
    signals: QueueSignals
    patience: timedelta = LEAK_PATIENCE

    async def go(self, tally: Tally) -> None:
        """Ask every holder, or Temporal about it."""
        queue = await self.truth.queue()
        for job in queue.working if queue else ():
            now = tally.look()
            why = await self._leak(job, now - self.patience)
            if why and await self._is_still_held(job):
                await tally.note(job.job_id, why, partial(self._mend, job))

    async def _leak(self, job: WorkingJob, since: datetime) -> str:
        """Say why a slot is leaked, if it has been since that moment."""
        if job.granted_at > since:
            return ""
        run = await self.runs.run_of(job.job_id)
        if run is None:
            return "it holds a slot, and its workflow is unknown to Temporal"
        is_other = run.first_run_id != job.first_run_id
        over_at = run.started_at if is_other else run.closed_at
        if over_at:
            return "it holds a slot, and its run is over" if over_at < since else ""
        claim = await self.runs.slot_claim(run)
        if claim is None or claim.grant or claim.is_waiting:
            return ""
        return "it holds a slot, and its run knows nothing of it"

    async def _is_still_held(self, job: WorkingJob) -> bool:
        queue = await self.truth.queue()
        held = {(one.job_id, one.first_run_id, one.token) for one in queue.working} if queue else ()
        return (job.job_id, job.first_run_id, job.token) in held

    async def _mend(self, job: WorkingJob) -> str:
        holder = Holder(workflow_id=job.job_id, first_run_id=job.first_run_id)
        await self.signals.release(SlotRelease(holder=holder, token=job.token))
        return "given back in its place"
