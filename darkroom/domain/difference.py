"""What it means that pictures differ: dimensions, rules, metrics, and what a choice is worth.

Values only; `darkroom/differentiation/` does the choosing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

# (dimension, option) pairs in the order of the request's dimensions.
Combination: TypeAlias = tuple[tuple[str, str], ...]

# Holds in a combination that shows, in every dimension named, one of the options named for it.
Condition: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]


class Metric(StrEnum):
    """How far apart two combinations are."""

    HAMMING = "hamming"  # the number of dimensions that differ
    WEIGHTED_HAMMING = "weighted_hamming"  # the weights of the dimensions that differ
    GOWER = "gower"  # 0 to 1: the weighted mean; on a scale, the share of it that lies between
    EUCLIDEAN = "euclidean"  # root of weight times square; options are coded 0, 1, 2, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One way in which pictures may differ; options are unique, at least one.

    `ordinal` says that the order of the options means something, so that neighbours are nearer
    than the two ends. Left open, gower takes options as names and euclidean as a scale; the
    Hamming metrics never look at it.
    """

    name: str
    options: tuple[str, ...]
    weight: float = 1.0
    ordinal: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid:
    """(dimension, option) pairs that must not all occur in one combination."""

    forbid: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Require:
    """A condition that every combination must meet."""

    require: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Imply:
    """Where `when` holds, `then` must hold too."""

    when: Condition
    then: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMost:
    """No combination may meet more than `most` of these conditions."""

    most: int
    of: tuple[Condition, ...]


Constraint: TypeAlias = Forbid | Require | Imply | AtMost


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRequest:
    """What the differentiator is asked: `count` combinations, pairwise far apart.

    `history_min_difference` holds towards `history`; left open, it is `min_difference`.
    Whatever it is, nothing of `history` or `exclusions` is chosen again.
    """

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()
    count: int
    metric: Metric = Metric.HAMMING
    min_difference: float = 1.0
    history_min_difference: float | None = None
    history: tuple[Combination, ...] = ()
    exclusions: tuple[Combination, ...] = ()  # reserved or unwanted; near ones are welcome
    seed: int = 0


class Proof(StrEnum):
    """Why nothing better exists. docs/differentiation.md explains each."""

    SINGLETON = "singleton"  # more combinations than option tuples: two must agree on those
    PLOTKIN = "plotkin"  # no smallest distance exceeds the largest average
    EXHAUSTION = "exhaustion"  # everything was tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a choice is worth, so that nobody has to believe it.

    Distances are in the request's metric. A single combination has no distance to another:
    `achieved` and `bound` are then the largest that the metric knows.
    """

    achieved: float  # the smallest distance of any two chosen
    bound: float  # no choice of as many can reach more
    bound_by: Proof
    history_distance: float | None = None  # the smallest to any earlier one; None without history
    # Largest difference, in one dimension, of how often two of its usable options were chosen.
    imbalance: int = 0
    # Counted only where the whole space was enumerated, and inside the budget of work:
    remaining: int | None = None  # combinations that could still be added, each by itself
    remaining_together: int | None = None  # of those, at least so many also differ among themselves
    comparisons: int = 0  # work spent, in option numbers compared; the same on every machine
    stopped_after_seconds: float | None = None  # the safety stop ended the search early

    @property
    def ratio(self) -> float:
        """How much of the bound was reached: 1.0 cannot be improved."""
        return self.achieved / self.bound if self.bound else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceResult:
    """Chosen combinations and the smallest distance between any two of them."""

    combinations: tuple[Combination, ...]
    min_distance: float
    certificate: Certificate


class RelaxationKind(StrEnum):
    """What a caller may give up so that more combinations are far enough apart."""

    LOWER_DIFFERENCE = "lower_difference"
    LOWER_HISTORY_DIFFERENCE = "lower_history_difference"
    DROP_CONSTRAINT = "drop_constraint"
    ADD_OPTION = "add_option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """One change of a request, and the count that was found after it (at most the one asked)."""

    kind: RelaxationKind
    feasible_count: int
    difference: float | None = None  # the value to lower to
    constraint: int | None = None  # its place in the request, from 0
    dimension: str | None = None  # where an option would help
