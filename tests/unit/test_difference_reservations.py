"""What one job chose, no other job of that owner gets: keys, exclusions and drawing again."""

import hashlib
import unicodedata
from dataclasses import replace

import pytest

from darkroom.domain.combination_key import combination_key
from tests.support.differences import a_request, chosen_by
from tests.support.reservations import Reservations, draw_side_by_side

JOBS_AT_ONCE = 8
DRAWS = 100_000
DRAWN_BY_ONE_JOB = 2_500


def test_a_key_is_the_fingerprint_of_canonical_json() -> None:
    """Whoever reads the table can recompute it: sorted names, no blanks, a version."""
    written = '{"combination":{"angle":"aerial","weather":"sunny"},"version":1}'

    key = combination_key((("weather", "sunny"), ("angle", "aerial")))

    assert key == hashlib.sha256(written.encode()).hexdigest()


def test_a_key_does_not_depend_on_order_or_on_how_a_letter_was_typed() -> None:
    """The same picture asked for by another form or another keyboard is the same picture."""
    composed, typed_apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))

    one = combination_key((("place", composed), ("month", "june")))
    other = combination_key((("month", "june"), ("place", typed_apart)))

    assert composed != typed_apart
    assert one == other


@pytest.mark.parametrize(
    "other",
    [
        (("weather", "rainy"), ("angle", "aerial")),
        (("weather", "sunny"),),
        (("weather", "aerial"), ("angle", "sunny")),
        (("weather", "Sunny"), ("angle", "aerial")),
        (("weather", "sunny"), ("angle", "aerial"), ("variant", "")),
    ],
)
def test_different_combinations_have_different_keys(other: tuple[tuple[str, str], ...]) -> None:
    """An option, a name or a dimension more makes another key."""
    assert combination_key(other) != combination_key((("weather", "sunny"), ("angle", "aerial")))


def test_what_is_excluded_is_not_chosen_but_its_neighbours_are() -> None:
    """An exclusion takes one combination out, and keeps no distance around it."""
    request = a_request(3, 3, count=9, min_difference=1)
    everything = chosen_by(request).combinations

    rest = chosen_by(replace(request, count=4, exclusions=everything[:5])).combinations

    assert set(rest) == set(everything[5:])


def test_an_exclusion_in_another_order_of_dimensions_counts() -> None:
    """A combination is what it shows, not how it is written."""
    request = a_request(1, 2, count=1)
    (first,) = chosen_by(request).combinations

    (second,) = chosen_by(replace(request, exclusions=(first[::-1],))).combinations

    assert second != first


def test_exclusions_hold_in_a_space_too_large_to_list() -> None:
    """The code that is written down there leaves gaps where something is excluded."""
    request = a_request(*[10] * 12, count=300, min_difference=8)
    first = chosen_by(request)

    second = chosen_by(replace(request, exclusions=first.combinations))

    assert not set(first.combinations) & set(second.combinations)
    assert second.certificate.achieved >= 8


def test_a_hundred_thousand_draws_of_eight_jobs_at_once_hold_no_duplicate() -> None:
    """Out of 10^7, jobs that do not see each other choose alike now and then, and draw again."""
    reservations, drawn = Reservations(), 0
    request = a_request(*[10] * 7, count=DRAWN_BY_ONE_JOB)
    for first in range(0, DRAWS // DRAWN_BY_ONE_JOB, JOBS_AT_ONCE):
        jobs = [replace(request, seed=first + place) for place in range(JOBS_AT_ONCE)]
        drawn += sum(len(chosen) for chosen in draw_side_by_side(jobs, reservations))

    assert drawn == len(reservations.keys) == DRAWS
    assert reservations.conflicts > 0


def test_jobs_draw_again_until_a_space_is_used_up() -> None:
    """Sixteen jobs of sixteen share all 256 combinations; the next one is refused."""
    reservations = Reservations()
    request = a_request(4, 4, 4, 4, count=16)
    jobs = [replace(request, seed=seed) for seed in range(17)]

    shares = draw_side_by_side(jobs, reservations)

    everything = [combination for share in shares for combination in share]
    assert sorted(map(len, shares)) == [0, *[16] * 16]
    assert len(set(everything)) == len(everything) == 256
