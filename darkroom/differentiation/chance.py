"""Seeded draws whose stream does not change with the numpy version.

Only raw bits of the generator are used: numpy promises their stream, not that of `shuffle`.
"""

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray

SEED_SPACE = 2**64  # any integer is a seed; the generator takes only natural numbers

Indexes = NDArray[np.intp]


class Chance:
    """A stream of draws, started by a seed."""

    def __init__(self, seed: int) -> None:
        self._bits = PCG64(seed % SEED_SPACE)

    def order(self, count: int) -> Indexes:
        """Shuffle 0..count-1."""
        return np.argsort(self._bits.random_raw(count), kind="stable")

    def numbers(self, count: int, *, below: int) -> Indexes:
        """Draw `count` numbers in 0..below-1, with a bias under `below` / 2**64."""
        return (self._bits.random_raw(count) % np.uint64(below)).astype(np.intp)
