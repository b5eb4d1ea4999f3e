"""When operators are told of a dead letter again. Pure: the caller brings the time.

The first telling is due at once; each rung of the ladder is an age at which a letter that is
still parked is told again. A letter's level counts how often it was told, so a level that is
lower than the rungs its age has passed is an alert that is owed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from darkroom.domain.dead_letters import LetterRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """A letter whose next telling is due, and the level it then has."""

    record: LetterRecord
    level: int

    @property
    def key(self) -> str:
        """Name this telling; the same over repetitions, so that a receiver can drop them."""
        letter = self.record.letter
        return f"{letter.job_id}/{letter.run}/{self.level}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalateOrder:
    """Tell what is due at a moment; `ladder` holds ages in rising order."""

    at: datetime
    ladder: tuple[timedelta, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Input of the scheduled chore: ages in rising order."""

    rungs: tuple[timedelta, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """How many letters were told; `is_done` is false when more are due."""

    told: int
    is_done: bool


def level_due(age: timedelta, ladder: Sequence[timedelta]) -> int:
    """Say which level a letter of that age should have: 1 at once, one more with each rung.

    A schedule that was away for hours skips to the level that fits, with one telling.
    """
    return 1 + sum(age >= rung for rung in ladder)
