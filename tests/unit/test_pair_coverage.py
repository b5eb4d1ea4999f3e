"""Every pair of options at least once, with few combinations: against an independent list maker."""

from itertools import combinations, pairwise

import pytest
from allpairspy import AllPairs

from darkroom.differentiation.coverage import Coverage, cover_pairs
from darkroom.domain.difference import Constraint, Dimension, Forbid, Imply
from tests.support.differences import breaks, some_dimensions

BEST_KNOWN = (
    # Sizes and the shortest list known. Source: providers.md 7.4, the pairwise.org table.
    pytest.param([3] * 4, 9, id="3^4"),
    pytest.param([3] * 13, 15, id="3^13"),
    pytest.param([4] * 15 + [3] * 17 + [2] * 29, 29, id="4^15 3^17 2^29"),
    pytest.param([4] + [3] * 39 + [2] * 35, 21, id="4 3^39 2^35"),
)
WORSE_AT_MOST = 1.15


def pairs_in(coverage: Coverage) -> set[frozenset[tuple[str, str]]]:
    """List the pairs of options that some combination shows."""
    return {frozenset(pair) for shown in coverage.combinations for pair in combinations(shown, 2)}


def every_pair(dimensions: tuple[Dimension, ...]) -> set[frozenset[tuple[str, str]]]:
    """List all pairs of options of two dimensions."""
    return {
        frozenset(((one.name, this), (other.name, that)))
        for one, other in combinations(dimensions, 2)
        for this in one.options
        for that in other.options
    }


@pytest.mark.parametrize(("sizes", "best"), BEST_KNOWN)
def test_a_list_covers_every_pair_and_is_nearly_as_short_as_any(
    sizes: list[int], best: int
) -> None:
    """At most 15 % longer than the shortest list known, and never longer than allpairspy's."""
    dimensions = some_dimensions(*sizes)
    theirs = len([*map(tuple, AllPairs([list(range(size)) for size in sizes]))])

    coverage = cover_pairs(dimensions)

    assert pairs_in(coverage) == every_pair(dimensions)
    assert best <= len(coverage.combinations) <= min(theirs, WORSE_AT_MOST * best)


def test_a_list_keeps_the_constraints_and_names_the_pairs_they_make_impossible() -> None:
    """What cannot be shown is said, and everything else is shown."""
    dimensions = some_dimensions(3, 3, 3, 2)
    rules: tuple[Constraint, ...] = (
        Forbid(forbid=(("dimension0", "option0"), ("dimension1", "option0"))),
        Imply(when=(("dimension0", ("option1",)),), then=(("dimension2", ("option1", "option2")),)),
    )

    coverage = cover_pairs(dimensions, rules)

    missing = {frozenset(pair) for pair in coverage.missing}
    assert not any(breaks(shown, rule) for shown in coverage.combinations for rule in rules)
    assert missing == {
        frozenset((("dimension0", "option0"), ("dimension1", "option0"))),
        frozenset((("dimension0", "option1"), ("dimension2", "option0"))),
    }
    assert pairs_in(coverage) == every_pair(dimensions) - missing


def test_a_pair_that_only_a_longer_chain_of_rules_forbids_is_missing() -> None:
    """Three dimensions that must be equal neighbours leave no unequal pair at all."""
    dimensions = some_dimensions(3, 3, 3)
    rules = tuple(
        Imply(when=((one.name, (option,)),), then=((other.name, (option,)),))
        for one, other in pairwise(dimensions)
        for option in one.options
    )

    coverage = cover_pairs(dimensions, rules)

    assert len(coverage.combinations) == 3
    assert len(coverage.missing) == 3 * 6


def test_the_same_seed_makes_the_same_list() -> None:
    """Nothing but the arguments decides."""
    dimensions = some_dimensions(4, 3, 3, 2)

    assert cover_pairs(dimensions, seed=7) == cover_pairs(dimensions, seed=7)
