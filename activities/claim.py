"""Take a job over: become its one writer."""

from temporalio import activity

from darkroom.domain.checkpoint import Claim, ClaimAnswer
from darkroom.domain.ports import JobStore


class ClaimActivities:
    """Idempotent by (job, run, writer): claiming again is answered as the first time."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    @activity.defn
    async def claim(self, claim: Claim) -> ClaimAnswer:
        """Claim the job's next run, and load the checkpoint.

        Raises:
            StoreUnavailable: Temporal tries again.
        """
        return ClaimAnswer(answer=await self._jobs.claim(claim))
