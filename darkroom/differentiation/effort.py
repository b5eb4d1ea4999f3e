"""How much work a choice may cost: counted, so that the same request gives the same answer.

One unit is one comparison of two option numbers; about 1e9 of them take a second. A clock is
only looked at where whoever builds the differentiator gives one, as a safety stop.
"""

from collections.abc import Callable

Clock = Callable[[], float]  # seconds, never going backwards


class Effort:
    """Work spent on one request, and whether more may be spent."""

    def __init__(self, *, clock: Clock | None = None, patience_seconds: float = 0.0) -> None:
        self._clock = clock
        self._started = clock() if clock else 0.0
        self._patience_seconds = patience_seconds
        self._spent = 0
        self._stopped_after: float | None = None

    @property
    def spent(self) -> int:
        """Comparisons so far."""
        return self._spent

    @property
    def stopped_after_seconds(self) -> float | None:
        """When the safety stop ended the search; None if it did not."""
        return self._stopped_after

    def spend(self, comparisons: int) -> None:
        """Count work."""
        self._spent += comparisons

    def affords(self, comparisons: int, *, limit: int) -> bool:
        """Say whether that much more stays within a limit of all work so far, and in time."""
        return self._spent + comparisons <= limit and not self.is_late()

    def is_late(self) -> bool:
        """Look at the clock, if there is one; once late, for ever late."""
        if self._clock and self._stopped_after is None:
            seconds = self._clock() - self._started
            self._stopped_after = seconds if seconds > self._patience_seconds else None
        return self._stopped_after is not None
