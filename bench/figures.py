"""Figures as they are printed: one JSON line each, and nothing else on standard output."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SHOWN_DIGITS = 3


class Bound(StrEnum):
    """Which side of a target is good."""

    AT_LEAST = ">="
    AT_MOST = "<="
    EXACTLY = "=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure is held to. Source of the numbers: spec.md section 8."""

    bound: Bound
    number: float

    def is_met_by(self, figure: float) -> bool:
        """Judge a figure; one that is not a number meets nothing."""
        match self.bound:
            case Bound.AT_LEAST:
                return figure >= self.number
            case Bound.AT_MOST:
                return figure <= self.number
            case Bound.EXACTLY:
                return figure == self.number

    def __str__(self) -> str:
        return f"{self.bound} {self.number:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number; without a target it is there to understand the others by."""

    name: str
    figure: float
    unit: str
    target: Target | None = None

    def line(self) -> str:
        """Write it as JSON; the unrounded figure is what is judged."""
        told = {
            "name": self.name,
            "figure": round(self.figure, SHOWN_DIGITS),
            "unit": self.unit,
            "target": self.target and str(self.target),
            "ok": self.target and self.target.is_met_by(self.figure),
        }
        return json.dumps(told, allow_nan=False)


def show(figure: Figure) -> None:
    """Print a figure at once."""
    sys.stdout.write(f"{figure.line()}\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """Tell whoever watches what is going on; standard output stays for figures."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def percentile(numbers: Sequence[float], percent: float) -> float:
    """Take the smallest number that is not exceeded by `percent` of them (nearest rank).

    Args:
        numbers: at least one, in any order.
        percent: above 0, up to 100.

    Raises:
        ValueError: there are no numbers.
    """
    if not numbers:
        raise ValueError("there is nothing to take a percentile of; did anything arrive?")
    rank = math.ceil(len(numbers) * percent / 100)
    return sorted(numbers)[max(rank, 1) - 1]
