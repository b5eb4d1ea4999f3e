"""The four stages of a job and how its progress climbs through them."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Stages under their wire names. Source: brief, "Image Generation Job Flow"."""

    ANALYZE = "combination_analysis"
    ENHANCE = "prompt_enhancement"
    GENERATE = "image_generation"
    FINISH = "post_processing"


TOTAL_PERCENT = 100

# Percent reached when the stage is over. Source: brief, "Image Generation Job Flow".
DONE_PERCENT: dict[Stage, int] = {
    Stage.ANALYZE: 20,
    Stage.ENHANCE: 40,
    Stage.GENERATE: 80,
    Stage.FINISH: TOTAL_PERCENT,
}


def start_percent(stage: Stage) -> int:
    """Percent at which a stage begins: where the one before it ended."""
    stages = list(Stage)
    place = stages.index(stage)
    return DONE_PERCENT[stages[place - 1]] if place else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job has come. `percent` never falls, not even over a retry."""

    percent: int = 0
    stage: Stage = Stage.ANALYZE
    message: str = "waiting to start"
    done: int = 0  # pictures stored
    failed: int = 0  # pictures given up
    total: int = 0  # pictures asked for


NOT_STARTED = Progress()


def reached(stage: Stage, *, finished: int, total: int) -> int:
    """Say which percent a stage has reached.

    Args:
        stage: the stage that is running.
        finished: its items that are over, 0 to `total`.
        total: its items; 0 means that nothing is known yet.

    Returns:
        Whole percent between the end of the stage before and the end of this one.
    """
    begin, end = start_percent(stage), DONE_PERCENT[stage]
    if total <= 0:
        return begin
    return begin + (end - begin) * min(finished, total) // total


def counted(count: int, noun: str) -> str:
    """Say how many, in words a message can hold."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
