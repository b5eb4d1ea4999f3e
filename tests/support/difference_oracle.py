"""An exact solver, and small constrained instances on which the engine is held against it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ortools.sat.python import cp_model

from darkroom.domain.difference import (
    AtMost,
    Combination,
    Condition,
    Constraint,
    DifferenceRequest,
    Dimension,
    Forbid,
    Imply,
    Metric,
    Require,
)
from darkroom.domain.errors import DifferenceInfeasible
from tests.support.differences import ROUNDING, allowed, answer, distance, some_dimensions

INSTANCES = 200
LARGEST_CHOICE = 96  # combinations that may be chosen; the exact solver takes its time beyond
SIZES = (
    (3, 3, 4),
    (2, 3, 3, 4),
    (4, 4, 4),
    (2, 2, 2, 3, 3),
    (5, 4, 4),
    (2, 2, 2, 2, 2, 2),
    (6, 5, 4),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the exact solver and the engine say of one instance; 0.0 where it is infeasible."""

    request: DifferenceRequest
    optimum: float
    reached: float

    @property
    def is_equal(self) -> bool:
        """Whether the engine found an optimum."""
        return abs(self.optimum - self.reached) < ROUNDING


def an_instance(chance: random.Random) -> DifferenceRequest:
    """Draw dimensions, one to four constraints of any kind, a metric, and a little history."""
    plain = some_dimensions(*chance.choice(SIZES))
    dimensions = tuple(
        Dimension(
            name=one.name,
            options=one.options,
            weight=chance.choice((0.2, 0.25, 0.3, 1.0)),
            ordinal=chance.choice((None, True, False)),
        )
        for one in plain
    )
    metric = chance.choice(list(Metric))
    return DifferenceRequest(
        dimensions=dimensions,
        constraints=tuple(a_constraint(dimensions, chance) for _ in range(chance.randint(1, 4))),
        count=chance.randint(2, 9),
        metric=metric,
        min_difference=1.0 if metric is Metric.HAMMING else 0.2,
        history_min_difference=chance.choice((None, 0.0)),
        history=tuple(a_combination(dimensions, chance) for _ in range(chance.randint(0, 3))),
        exclusions=tuple(a_combination(dimensions, chance) for _ in range(chance.randint(0, 3))),
        seed=chance.randrange(2**32),
    )


def a_constraint(dimensions: Sequence[Dimension], chance: random.Random) -> Constraint:
    """Draw one that leaves most combinations alone."""
    match chance.randrange(4):
        case 0:
            pairs = a_condition(dimensions, chance, named=2, options=1)
            return Forbid(forbid=tuple((name, only) for name, (only,) in pairs))
        case 1:
            return Imply(
                when=a_condition(dimensions, chance, named=1, options=1),
                then=a_condition(dimensions, chance, named=1, options=2),
            )
        case 2:
            named = (a_condition(dimensions, chance, named=1, options=1) for _ in range(4))
            return AtMost(most=2, of=tuple(named))
        case _:
            return Require(require=a_condition(dimensions, chance, named=1, options=3))


def a_condition(
    dimensions: Sequence[Dimension], chance: random.Random, *, named: int, options: int
) -> Condition:
    """Draw a condition on some dimensions."""
    return tuple(
        (one.name, tuple(chance.sample(one.options, min(options, len(one.options)))))
        for one in chance.sample(dimensions, named)
    )


def a_combination(dimensions: Sequence[Dimension], chance: random.Random) -> Combination:
    """Draw any combination."""
    return tuple((one.name, chance.choice(one.options)) for one in dimensions)


def exact_optimum(request: DifferenceRequest, choice: Sequence[Combination]) -> float:
    """Find the largest smallest distance by halving, each step decided exactly."""
    apart = {
        (one, other): distance(request, choice[one], choice[other])
        for one, other in combinations(range(len(choice)), 2)
    }
    least = request.min_difference - ROUNDING
    levels = sorted({round(far, 9) for far in apart.values() if far >= least})
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        near = [pair for pair, far in apart.items() if far < levels[middle] - ROUNDING]
        if exists(len(choice), near, request.count):
            low = middle + 1
        else:
            high = middle
    return levels[low - 1] if low else 0.0


def exists(size: int, near: Sequence[tuple[int, int]], count: int) -> bool:
    """Ask the solver whether `count` of `size` things can be chosen with no near pair."""
    model = cp_model.CpModel()
    chosen = [model.new_bool_var(f"chosen{place}") for place in range(size)]
    model.add(sum(chosen) >= count)
    for one, other in near:
        model.add_bool_or([chosen[one].negated(), chosen[other].negated()])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    assert status in {cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.INFEASIBLE}
    return status != cp_model.INFEASIBLE


def instances() -> Iterator[tuple[DifferenceRequest, Sequence[Combination]]]:
    """Draw instances that leave something to choose, the same ones every time."""
    chance = random.Random(5)
    found = 0
    while found < INSTANCES:
        request = an_instance(chance)
        choice = allowed(request)
        if request.count < len(choice) <= LARGEST_CHOICE:
            found += 1
            yield request, choice


def reached(request: DifferenceRequest) -> float:
    """Let the engine choose, and measure its choice."""
    result = answer(request)
    return 0.0 if isinstance(result, DifferenceInfeasible) else result.min_distance


def solved_twice() -> list[Verdict]:
    """Let the solver and the engine solve every instance."""
    return [
        Verdict(request=request, optimum=exact_optimum(request, choice), reached=reached(request))
        for request, choice in instances()
    ]


def exists_evenly(request: DifferenceRequest) -> bool:
    """Ask the solver for a choice at the least difference whose option counts differ by one."""
    choice = allowed(request)
    model = cp_model.CpModel()
    chosen = [model.new_bool_var(f"chosen{place}") for place in range(len(choice))]
    model.add(sum(chosen) == request.count)
    for one, other in combinations(range(len(choice)), 2):
        if distance(request, choice[one], choice[other]) < request.min_difference - ROUNDING:
            model.add_bool_or([chosen[one].negated(), chosen[other].negated()])
    for place, dimension in enumerate(request.dimensions):
        share, more = divmod(request.count, len(dimension.options))
        for option in dimension.options:
            used = [v for v, one in zip(chosen, choice, strict=True) if one[place][1] == option]
            model.add(sum(used) >= share)
            model.add(sum(used) <= share + bool(more))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    return solver.solve(model) in {cp_model.OPTIMAL, cp_model.FEASIBLE}
