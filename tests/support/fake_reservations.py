"""Reservations in memory; they pass the same suite as the databases."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from darkroom.domain.combination_key import combination_key
from darkroom.domain.job import Combination, JobId, OwnerId

# (owner, key) -> the job that has it, as all fakes of one test share it.
Holders: TypeAlias = dict[tuple[OwnerId, str], JobId]


class MemoryReservations:
    """The port `Reservations` in memory."""

    def __init__(self, holders: Holders, *, reach: Callable[[], None]) -> None:
        """Share reservations; `reach` stands for the way to the database."""
        self._holders = holders
        self._reach = reach

    async def reserve(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> tuple[Combination, ...]:
        """Reserve all of them, or none."""
        self._reach()
        asked = {combination_key(combination): combination for combination in combinations}
        taken = tuple(
            combination
            for key, combination in asked.items()
            if self._holders.get((owner, key), job_id) != job_id
        )
        if not taken:
            take_free(self._holders, owner, job_id, combinations)
        return taken

    async def keep(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> None:
        """Reserve those that are free."""
        self._reach()
        take_free(self._holders, owner, job_id, combinations)

    async def release(self, job_id: JobId) -> None:
        """Free all that a job has."""
        self._reach()
        for place in [place for place, holder in self._holders.items() if holder == job_id]:
            del self._holders[place]


def take_free(
    holders: Holders, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
) -> None:
    """Reserve what nobody has."""
    for combination in combinations:
        holders.setdefault((owner, combination_key(combination)), job_id)
