"""Small instances with their known or proven optimum, and the large ones that must be answered.

Typed anew for this house. `optimum` is the largest smallest distance of `count` combinations,
or 0 where so many do not exist at `least`; beside each stands why that is so.
"""

from dataclasses import dataclass, field
from itertools import combinations, pairwise

import pytest

from darkroom.domain.difference import (
    AtMost,
    Constraint,
    DifferenceRequest,
    Dimension,
    Forbid,
    Imply,
    Metric,
    Proof,
    Require,
)
from darkroom.domain.errors import DifferenceInfeasible
from tests.support.differences import answer, breaks, chosen_by, some_dimensions

WEIGHTS = (0.3, 0.25, 0.25, 0.2)  # Source: providers.md 1.2
PICTURE = some_dimensions(4, 4, 4, 4, weights=WEIGHTS)
PLAIN = some_dimensions(4, 4, 4, 4)
SCALE = (Dimension(name="month", options=tuple("abcdefghi"), ordinal=True),)


def never_equal(dimensions: tuple[Dimension, ...]) -> tuple[Constraint, ...]:
    """Forbid the same option number in neighbouring dimensions."""
    return tuple(
        Forbid(forbid=((one.name, option), (other.name, option)))
        for one, other in pairwise(dimensions)
        for option in one.options
    )


def always_equal(dimensions: tuple[Dimension, ...]) -> tuple[Constraint, ...]:
    """Demand the same option number in neighbouring dimensions."""
    return tuple(
        Imply(when=((one.name, (option,)),), then=((other.name, (option,)),))
        for one, other in pairwise(dimensions)
        for option in one.options
    )


def at_most_one_first(dimensions: tuple[Dimension, ...]) -> tuple[Constraint, ...]:
    """Allow the first option in one dimension at a time."""
    return (AtMost(most=1, of=tuple(((one.name, ("option0",)),) for one in dimensions)),)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance with its optimum."""

    name: str
    dimensions: tuple[Dimension, ...]
    count: int
    optimum: float
    least: float = 1.0
    metric: Metric = Metric.HAMMING
    constraints: tuple[Constraint, ...] = field(default=())

    def request(self, count: int | None = None) -> DifferenceRequest:
        """Ask for it, or for another count of the same."""
        return DifferenceRequest(
            dimensions=self.dimensions,
            constraints=self.constraints,
            count=count or self.count,
            metric=self.metric,
            min_difference=self.least,
        )


INSTANCES = (
    # Singleton: q^(k - d + 1) words at most; met by the code with two check symbols over GF(4).
    Instance(name="4^4 sixteen", dimensions=PLAIN, count=16, optimum=3),
    Instance(name="4^4 sixty-four", dimensions=PLAIN, count=64, optimum=2),
    Instance(name="4^4 seventeen", dimensions=PLAIN, count=17, optimum=2),
    Instance(name="4^4 four", dimensions=PLAIN, count=4, optimum=4),
    Instance(name="4^4 five", dimensions=PLAIN, count=5, optimum=3),
    # The ternary Hamming code is perfect and meets Singleton.
    Instance(name="3^4 nine", dimensions=some_dimensions(3, 3, 3, 3), count=9, optimum=3),
    Instance(name="3^4 ten", dimensions=some_dimensions(3, 3, 3, 3), count=10, optimum=2),
    # Plotkin: eight words of seven bits are four apart (simplex code), sixteen three (Hamming).
    Instance(name="2^7 eight", dimensions=some_dimensions(*[2] * 7), count=8, optimum=4),
    Instance(name="2^7 sixteen", dimensions=some_dimensions(*[2] * 7), count=16, optimum=3),
    Instance(name="2^7 nine", dimensions=some_dimensions(*[2] * 7), count=9, optimum=3),
    # Mixed sizes: Singleton takes the smallest ones. Source: providers.md 7.2.
    Instance(name="100x12x4x20", dimensions=some_dimensions(100, 12, 4, 20), count=48, optimum=3),
    Instance(
        name="100x12x4x20 at two", dimensions=some_dimensions(100, 12, 4, 20), count=49, optimum=2
    ),
    # By an exact solver over all 256 points. Source: providers.md 1.2.
    Instance(
        name="weighted .7", dimensions=PICTURE, count=16, optimum=0.7,
        least=0.1, metric=Metric.WEIGHTED_HAMMING,
    ),
    Instance(
        name="Euclid eight", dimensions=PICTURE, count=8, optimum=4.05**0.5,
        least=0.1, metric=Metric.EUCLIDEAN,
    ),
    Instance(
        name="Euclid unweighted", dimensions=PLAIN, count=16, optimum=3,
        least=0.1, metric=Metric.EUCLIDEAN,
    ),
    # Of nine points of a scale, three are its ends and its middle.
    Instance(
        name="a scale", dimensions=SCALE, count=3, optimum=0.5, least=0.1, metric=Metric.GOWER
    ),
    # Neighbours always equal: four words, all of them different everywhere.
    Instance(
        name="one chain", dimensions=some_dimensions(*[4] * 20), count=4, optimum=20,
        constraints=always_equal(some_dimensions(*[4] * 20)),
    ),
    # Neighbours never equal: 3 x 2 x 2 words; two letters alternate, three ways, all apart.
    Instance(
        name="no neighbours", dimensions=some_dimensions(3, 3, 3), count=3, optimum=3,
        constraints=never_equal(some_dimensions(3, 3, 3)),
    ),
    Instance(
        name="all without neighbours", dimensions=some_dimensions(3, 3, 3), count=12, optimum=1,
        constraints=never_equal(some_dimensions(3, 3, 3)),
    ),
    # One first option at most: 1 + 4 bits set of four, so weights three and four remain; five
    # words, any two of weight three differ twice, and the fifth once from each.
    Instance(
        name="one first at most", dimensions=some_dimensions(2, 2, 2, 2), count=4, optimum=2,
        constraints=at_most_one_first(some_dimensions(2, 2, 2, 2)),
    ),
    Instance(
        name="all with one first at most", dimensions=some_dimensions(2, 2, 2, 2), count=5,
        optimum=1, constraints=at_most_one_first(some_dimensions(2, 2, 2, 2)),
    ),
    # A demand for one option leaves 4^3, where sixteen differ twice.
    Instance(
        name="one option demanded", dimensions=PLAIN, count=16, optimum=2,
        constraints=(Require(require=(("dimension0", ("option2",)),)),),
    ),
)  # fmt: skip

LIMITS = (
    # (instance, the largest count at `least`). Sources as above.
    (Instance(name="4^4 at two", dimensions=PLAIN, count=65, optimum=0, least=2), 64),
    (Instance(name="4^4 at three", dimensions=PLAIN, count=17, optimum=0, least=3), 16),
    (
        Instance(
            name="Euclid 2.5", dimensions=PICTURE, count=8, optimum=0,
            least=2.5, metric=Metric.EUCLIDEAN,
        ),
        2,
    ),
    (
        Instance(
            name="Euclid 2.0", dimensions=PICTURE, count=9, optimum=0,
            least=2.0, metric=Metric.EUCLIDEAN,
        ),
        8,
    ),
    (
        Instance(
            name="Euclid 1.5", dimensions=PICTURE, count=12, optimum=0,
            least=1.5, metric=Metric.EUCLIDEAN,
        ),
        11,
    ),
    (
        Instance(
            name="Euclid unweighted 2.5", dimensions=PLAIN, count=17, optimum=0,
            least=2.5, metric=Metric.EUCLIDEAN,
        ),
        16,
    ),
    (
        Instance(
            name="counties", dimensions=some_dimensions(100, 12, 4, 20), count=961, optimum=0,
            least=2,
        ),
        960,
    ),
    (
        Instance(
            name="one chain", dimensions=some_dimensions(*[4] * 20), count=5, optimum=0,
            constraints=always_equal(some_dimensions(*[4] * 20)),
        ),
        4,
    ),
)  # fmt: skip


@pytest.mark.parametrize("instance", [pytest.param(one, id=one.name) for one in INSTANCES])
def test_the_optimum_is_reached(instance: Instance) -> None:
    """And the certificate does not promise less than it."""
    certificate = chosen_by(instance.request()).certificate

    assert certificate.achieved == pytest.approx(instance.optimum)
    assert certificate.bound >= instance.optimum - 1e-9


@pytest.mark.parametrize(
    ("instance", "most"), [pytest.param(*one, id=one[0].name) for one in LIMITS]
)
def test_one_more_than_the_most_is_refused_with_a_proof(instance: Instance, most: int) -> None:
    """The refusal names the most, proves it, and that many are had."""
    refusal = answer(instance.request())

    assert isinstance(refusal, DifferenceInfeasible)
    assert refusal.largest_feasible == most
    assert refusal.proof in set(Proof)
    assert len(chosen_by(instance.request(most)).combinations) == most


def test_ten_thousand_of_a_million_millions_differ_eight_times() -> None:
    """An algebraic code gives what no sample of that size does; the bound is nine."""
    certificate = chosen_by(
        DifferenceRequest(dimensions=some_dimensions(*[10] * 12), count=10_000)
    ).certificate

    assert certificate.achieved >= 8
    assert certificate.bound == 9


def test_ten_thousand_of_a_million_millions_differ_six_times_under_constraints() -> None:
    """Sixty-six pairs of options are forbidden, one more is a demand, and nothing is lost."""
    dimensions = some_dimensions(*[10] * 12)
    rules: tuple[Constraint, ...] = (
        *(
            Forbid(forbid=((one.name, "option0"), (other.name, "option1")))
            for one, other in combinations(dimensions, 2)
        ),
        Imply(
            when=(("dimension0", ("option2",)),),
            then=(("dimension5", ("option3", "option4", "option5")),),
        ),
    )
    request = DifferenceRequest(dimensions=dimensions, constraints=rules, count=10_000)

    result = chosen_by(request)

    assert result.certificate.achieved >= 6
    assert len(set(result.combinations)) == 10_000
    assert not any(breaks(one, rule) for one in result.combinations[::50] for rule in rules)
