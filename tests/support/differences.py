"""What differs and what is allowed, worked out the slow and obvious way.

Shares nothing with the engine but the request, so that both are unlikely to be wrong alike.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from darkroom.differentiation import MaximinDifferentiator
from darkroom.differentiation.effort import Clock
from darkroom.domain.difference import (
    AtMost,
    Combination,
    Condition,
    Constraint,
    DifferenceRequest,
    DifferenceResult,
    Dimension,
    Forbid,
    Imply,
    Metric,
    Require,
)
from darkroom.domain.errors import DifferenceInfeasible

ROUNDING = 1e-9


def some_dimensions(
    *sizes: int, weights: Sequence[float] = (), ordinal: bool | None = None
) -> tuple[Dimension, ...]:
    """Make dimensions with so many options each."""
    return tuple(
        Dimension(
            name=f"dimension{i}",
            options=tuple(f"option{n}" for n in range(size)),
            weight=weights[i] if weights else 1.0,
            ordinal=ordinal,
        )
        for i, size in enumerate(sizes)
    )


def a_request(*sizes: int, count: int, min_difference: float = 1.0) -> DifferenceRequest:
    """Ask for combinations of dimensions with so many options each."""
    return DifferenceRequest(
        dimensions=some_dimensions(*sizes), count=count, min_difference=min_difference
    )


def chosen_by(request: DifferenceRequest) -> DifferenceResult:
    """Choose; a refusal is not expected."""
    return MaximinDifferentiator().choose(request)


def answer(
    request: DifferenceRequest, *, clock: Clock | None = None, patience_seconds: float = 0.0
) -> DifferenceResult | DifferenceInfeasible:
    """Choose, or be refused; with a clock, only as long as patience lasts."""
    differentiator = MaximinDifferentiator(clock=clock, patience_seconds=patience_seconds)
    try:
        return differentiator.choose(request)
    except DifferenceInfeasible as refusal:
        return refusal


def distance(request: DifferenceRequest, one: Combination, other: Combination) -> float:
    """Measure two combinations."""
    mine, theirs = dict(one), dict(other)
    parts = [
        (d.weight, _apart(request.metric, d, mine.get(d.name), theirs.get(d.name)))
        for d in request.dimensions
    ]
    match request.metric:
        case Metric.HAMMING:
            return sum(1.0 for _, apart in parts if apart)
        case Metric.WEIGHTED_HAMMING:
            return sum(weight for weight, apart in parts if apart)
        case Metric.GOWER:
            return sum(weight * apart for weight, apart in parts) / sum(w for w, _ in parts)
        case Metric.EUCLIDEAN:
            return math.sqrt(sum(weight * apart**2 for weight, apart in parts))


def _apart(metric: Metric, dimension: Dimension, one: str | None, other: str | None) -> float:
    is_scale = dimension.ordinal if metric is Metric.GOWER else dimension.ordinal is not False
    if one == other or metric not in {Metric.GOWER, Metric.EUCLIDEAN} or not is_scale:
        return float(one != other)
    unit = len(dimension.options) - 1 if metric is Metric.GOWER else 1
    if one not in dimension.options or other not in dimension.options:
        return 1 / max(unit, 1)
    return abs(dimension.options.index(one) - dimension.options.index(other)) / unit


def meets(combination: Combination, condition: Condition) -> bool:
    """Say whether a combination shows one of the options named, in every dimension named."""
    shown = dict(combination)
    return all(shown.get(name) in options for name, options in condition)


def breaks(combination: Combination, constraint: Constraint) -> bool:
    """Say whether a constraint rules a combination out."""
    match constraint:
        case Forbid():
            pairs = constraint.forbid
            return bool(pairs) and all(pair in combination for pair in pairs)
        case Require():
            return not meets(combination, constraint.require)
        case Imply():
            return meets(combination, constraint.when) and not meets(combination, constraint.then)
        case AtMost():
            return sum(meets(combination, one) for one in constraint.of) > constraint.most


def permitted(request: DifferenceRequest) -> Iterator[Combination]:
    """List what the constraints permit, by trying everything."""
    names = [dimension.name for dimension in request.dimensions]
    for options in product(*(dimension.options for dimension in request.dimensions)):
        combination = tuple(zip(names, options, strict=True))
        if not any(breaks(combination, constraint) for constraint in request.constraints):
            yield combination


def allowed(request: DifferenceRequest) -> list[Combination]:
    """List what may be chosen at all: permitted, fresh, and far enough from the history."""
    asked = request.history_min_difference
    asked = request.min_difference if asked is None else asked
    taken = {*map(frozenset, request.history), *map(frozenset, request.exclusions)}
    return [
        one
        for one in permitted(request)
        if frozenset(one) not in taken
        and all(distance(request, one, earlier) >= asked - ROUNDING for earlier in request.history)
    ]


def smallest_distance(request: DifferenceRequest, chosen: Sequence[Combination]) -> float:
    """Measure the two nearest combinations of at least two."""
    return min(distance(request, one, other) for one, other in combinations(chosen, 2))
