"""How a caller is told that so many combinations cannot differ that much, and what would help."""

from collections.abc import Sequence
from typing import Any, TypeAlias, assert_never

from darkroom.domain.difference import Relaxation, RelaxationKind
from darkroom.domain.errors import DifferenceInfeasible
from gateway.errors import DIFFERENCE_INFEASIBLE, Problem
from gateway.faults import Fault

Json: TypeAlias = dict[str, Any]

TOLD_SUGGESTIONS = 3


def infeasible_problem(infeasible: DifferenceInfeasible) -> Problem:
    """Answer with the largest count, why there is no more, and suggestions, the best first."""
    remedy = _remedy(infeasible)
    return Problem(
        DIFFERENCE_INFEASIBLE,
        str(infeasible),
        remedy=remedy,
        faults=[Fault(field="count", message=str(infeasible), remedy=remedy)],
        more={
            "largestFeasibleCount": infeasible.largest_feasible,
            "proof": infeasible.proof,
            "suggestions": [suggestion_json(one) for one in infeasible.relaxations],
        },
    )


def _remedy(infeasible: DifferenceInfeasible) -> str:
    count = f"ask for at most {infeasible.largest_feasible}" if infeasible.largest_feasible else ""
    changes = _changes(infeasible.relaxations) or [
        "lower minDifference",
        "relax constraints",
        "add options",
        "set avoidHistory to false",
    ]
    return ", or ".join(filter(None, (count, *changes)))


def _changes(relaxations: Sequence[Relaxation]) -> list[str]:
    told = relaxations[:TOLD_SUGGESTIONS]
    return [f"{_change(one)} (then at least {one.feasible_count})" for one in told]


def _change(one: Relaxation) -> str:
    match one.kind:
        case RelaxationKind.LOWER_DIFFERENCE:
            return f"lower minDifference to {_number(one.difference)}"
        case RelaxationKind.LOWER_HISTORY_DIFFERENCE:
            return f"lower historyMinDifference to {_number(one.difference)}"
        case RelaxationKind.DROP_CONSTRAINT:
            return f"drop constraints.{one.constraint}"
        case RelaxationKind.ADD_OPTION:
            return f"add an option to dimensions.{one.dimension}"
        case _:
            assert_never(one.kind)


def suggestion_json(one: Relaxation) -> Json:
    """Write a suggestion: the field to change, its value where there is one, the count then."""
    match one.kind:
        case RelaxationKind.LOWER_DIFFERENCE:
            change: Json = {"field": "minDifference", "value": one.difference}
        case RelaxationKind.LOWER_HISTORY_DIFFERENCE:
            change = {"field": "historyMinDifference", "value": one.difference}
        case RelaxationKind.DROP_CONSTRAINT:
            change = {"field": f"constraints.{one.constraint}"}
        case RelaxationKind.ADD_OPTION:
            change = {"field": f"dimensions.{one.dimension}.options"}
        case _:
            assert_never(one.kind)
    return {"kind": one.kind, **change, "feasibleCount": one.feasible_count, "say": _change(one)}


def _number(difference: float | None) -> str:
    return f"{difference or 0.0:.6f}".rstrip("0").rstrip(".")
