"""Which distances can occur: what an upper limit may be rounded down to, and the rungs to climb."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.measures import Measure

MOST_LEVELS = 4_096  # distinct distances told apart when the weights are all different
EQUAL_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """Distances that can occur, ascending; all of them unless there are too many."""

    values: NDArray[np.float64]
    is_complete: bool
    tolerance: float

    @classmethod
    def of(cls, measure: Measure, usable: Sequence[Sequence[int]]) -> "Levels":
        """Add up, dimension by dimension, what words can differ by."""
        values, is_complete = np.zeros(1), True
        for dimension, options in enumerate(usable):
            steps = _steps(measure, dimension, options)
            sums = (values[:, None] + steps).ravel()
            values = sums[np.unique(sums.round(EQUAL_DIGITS), return_index=True)[1]]
            is_complete &= values.size <= MOST_LEVELS
            values = values[:: -(-values.size // MOST_LEVELS)]
        return cls(values=values, is_complete=is_complete, tolerance=measure.tolerance)

    def between(self, above: float, up_to: float) -> NDArray[np.float64]:
        """List the levels in a range without its lower end."""
        above_it = self.values > above + self.tolerance
        return self.values[above_it & (self.values <= up_to + self.tolerance)]

    def floor(self, limit: float) -> float:
        """Round a limit down to a distance that can occur, where all of them are known."""
        if not self.is_complete:
            return limit
        return float(self.values[self.values <= limit + self.tolerance].max(initial=0.0))


def _steps(measure: Measure, dimension: int, options: Sequence[int]) -> NDArray[np.float64]:
    table = measure.tables[dimension]
    if table is None:
        differs = float(measure.weights[dimension])
        return np.array([0.0, differs] if len(options) > 1 else [0.0])
    places = np.array(options, dtype=np.intp)
    return np.unique(table[places][:, places]) if places.size else np.zeros(1)
