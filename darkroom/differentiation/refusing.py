"""The words with which too many combinations are refused: what was found, why, what helps."""

from collections.abc import Sequence
from typing import assert_never

from darkroom.differentiation.effort import Effort
from darkroom.differentiation.selecting import Shortage
from darkroom.domain.difference import DifferenceRequest, Proof, Relaxation, RelaxationKind
from darkroom.domain.errors import DifferenceInfeasible

TOLD_RELAXATIONS = 3
LISTED_DIMENSIONS = 6


def refusal(
    request: DifferenceRequest,
    shortage: Shortage,
    relaxations: Sequence[Relaxation],
    effort: Effort,
) -> DifferenceInfeasible:
    """Say that there are too few combinations, and what to do."""
    remedies = [f"ask for at most {shortage.largest}"] if shortage.largest else []
    remedies += [_remedy(one) for one in relaxations[:TOLD_RELAXATIONS]]
    if not relaxations:
        remedies.append("lower the minimum difference, relax the constraints, or add options")
    return DifferenceInfeasible(
        f"count {request.count}: {_found(request, shortage)}; {_why(shortage, effort)}; "
        f"{', or '.join(remedies)}",
        largest_feasible=shortage.largest,
        proof=shortage.by,
        relaxations=tuple(relaxations),
    )


def _found(request: DifferenceRequest, shortage: Shortage) -> str:
    sizes = " x ".join(str(len(dimension.options)) for dimension in request.dimensions)
    if len(request.dimensions) > LISTED_DIMENSIONS:
        sizes = f"{len(request.dimensions)} dimensions'"
    from_history = f" and from {len(request.history)} earlier ones" if request.history else ""
    return (
        f"at most {shortage.largest} combinations of {sizes} options were found that differ by "
        f"{request.min_difference:g} ({request.metric}) from each other{from_history}"
    )


def _why(shortage: Shortage, effort: Effort) -> str:
    match shortage.by:
        case Proof.EXHAUSTION:
            return "more are impossible: everything was tried"
        case Proof.SINGLETON | Proof.PLOTKIN:
            return f"more are impossible ({shortage.by} bound)"
        case None:
            seconds = effort.stopped_after_seconds
            spent = f"{effort.spent:,} comparisons" if seconds is None else f"{seconds:.1f} s"
            return f"more were not found in {spent}, which does not prove that there are none"
        case _:
            assert_never(shortage.by)


def _remedy(one: Relaxation) -> str:
    match one.kind:
        case RelaxationKind.LOWER_DIFFERENCE:
            change = f"lower the minimum difference to {_number(one.difference)}"
        case RelaxationKind.LOWER_HISTORY_DIFFERENCE:
            change = f"lower the difference from earlier ones to {_number(one.difference)}"
        case RelaxationKind.DROP_CONSTRAINT:
            change = f"drop constraint {one.constraint}"
        case RelaxationKind.ADD_OPTION:
            change = f"add an option to {one.dimension}"
        case _:
            assert_never(one.kind)
    return f"{change} (then at least {one.feasible_count})"


def _number(difference: float | None) -> str:
    return f"{difference or 0.0:.6f}".rstrip("0").rstrip(".")
