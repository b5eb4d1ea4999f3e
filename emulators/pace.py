"""How long a picture takes: about as long as the options say, the same way each time."""

import random

JITTER = 0.2  # a picture takes its seconds +-20 %


def jittered(seconds: float, *, seed: int, sequence: int) -> float:
    """Vary how long a picture takes, alike for the same seed and place in the ledger."""
    chance = random.Random(f"{seed}/{sequence}")  # noqa: S311  (seeded pace, no secret)
    return seconds * chance.uniform(1 - JITTER, 1 + JITTER)
