"""When to try again. Pure: the caller brings the retry number and the chance."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random


class RetryStrategy(StrEnum):
    """How the wait grows from retry to retry. Source: brief, "Retry configuration"."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """A schedule of waits for one item; `max_retries` counts retries after the first try."""

    strategy: RetryStrategy = RetryStrategy.EXPONENTIAL
    base_delay: timedelta = timedelta(seconds=1)
    factor: float = 2.0  # exponential only
    increment: timedelta = timedelta(0)  # linear only
    max_delay: timedelta = timedelta(seconds=60)
    max_retries: int = 3

    def allows(self, retry: int) -> bool:
        """Say whether retry number `retry` (from 1) is inside the plan."""
        return retry <= self.max_retries

    def delay(self, retry: int, chance: Random) -> timedelta:
        """Say how long to wait before retry number `retry`.

        Args:
            retry: counted from 1.
            chance: drawn from once for the exponential strategy (full jitter: uniform
                between zero and the ceiling), not at all for the others.

        Returns:
            A wait between zero and `max_delay`.
        """
        match self.strategy:
            case RetryStrategy.IMMEDIATE:
                return timedelta(0)
            case RetryStrategy.LINEAR:
                return min(self.base_delay + (retry - 1) * self.increment, self.max_delay)
            case RetryStrategy.EXPONENTIAL:
                return chance.uniform(0.0, 1.0) * self._ceiling(retry)

    def _ceiling(self, retry: int) -> timedelta:
        largest = self.max_delay / self.base_delay if self.base_delay else 0.0
        # A float power beyond about 2**1000 overflows; past the largest wait nothing changes.
        growth = self.factor ** min(retry - 1, 64)
        return self.base_delay * min(growth, largest)


LINEAR = RetryPlan(
    strategy=RetryStrategy.LINEAR,
    base_delay=timedelta(seconds=5),
    increment=timedelta(seconds=5),
    max_delay=timedelta(seconds=30),
)
IMMEDIATE = RetryPlan(
    strategy=RetryStrategy.IMMEDIATE, base_delay=timedelta(0), max_delay=timedelta(0), max_retries=1
)
