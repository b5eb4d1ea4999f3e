"""What the benchmarks print, and how they drive and judge."""

import asyncio
import json
import os

import pytest

from bench.figures import Bound, Figure, Target, percentile
from bench.load import Pace, paced

AT_MOST_FIFTEEN = Target(bound=Bound.AT_MOST, number=15)


def test_a_figure_is_one_json_line_with_its_target_and_verdict() -> None:
    """A machine can read name, figure, unit, target and verdict from one line."""
    figure = Figure(name="lateness", figure=14.23456, unit="ms", target=AT_MOST_FIFTEEN)

    assert "\n" not in figure.line()
    assert json.loads(figure.line()) == {
        "name": "lateness",
        "figure": 14.235,
        "unit": "ms",
        "target": "<= 15",
        "ok": True,
    }


def test_a_figure_without_target_is_not_judged() -> None:
    """Context has neither a target nor a verdict."""
    told = json.loads(Figure(name="rate", figure=3, unit="jobs/s").line())

    assert (told["target"], told["ok"]) == (None, None)


@pytest.mark.parametrize(
    ("bound", "number", "met", "missed"),
    [
        (Bound.AT_LEAST, 1.2, 1.2, 1.1999),
        (Bound.AT_MOST, 50, 50, 50.0001),
        (Bound.EXACTLY, 0, 0, 1),
    ],
)
def test_each_bound_has_its_good_side(
    bound: Bound, number: float, met: float, missed: float
) -> None:
    """The bound itself is good, one step beyond it is not, however it is rounded."""
    target = Target(bound=bound, number=number)

    assert target.is_met_by(met)
    assert not target.is_met_by(missed)


def test_a_missed_target_shows_in_the_line() -> None:
    """The verdict judges the unrounded figure."""
    line = Figure(name="lateness", figure=15.0001, unit="ms", target=AT_MOST_FIFTEEN).line()

    assert json.loads(line)["ok"] is False


def test_percentiles_are_numbers_that_were_measured() -> None:
    """Nearest rank: no value between two measurements is made up."""
    numbers = [float(number) for number in range(100, 0, -1)]

    assert percentile(numbers, 50) == 50
    assert percentile(numbers, 99) == 99
    assert percentile(numbers, 100) == 100
    assert percentile([7.0], 1) == 7


def test_there_is_no_percentile_of_nothing() -> None:
    """An empty measurement is an error and not a zero."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


async def test_a_closed_loop_keeps_as_many_under_way_as_asked_and_no_more() -> None:
    """Every number is run once, and the next one starts only when one is over."""
    under_way: set[int] = set()
    seen: list[int] = []
    most = 0

    async def one(number: int) -> None:
        nonlocal most
        under_way.add(number)
        most = max(most, len(under_way))
        for _ in range(3):
            await asyncio.sleep(0)
        under_way.discard(number)
        seen.append(number)

    pace = await paced(one, range(20), at_once=4, pids={"us": os.getpid()})

    assert most == 4
    assert sorted(seen) == list(range(20))
    assert (pace.jobs, set(pace.cpu_seconds)) == (20, {"us"})


def test_paces_add_up_by_process() -> None:
    """Rounds are summed, so rates weigh every job alike."""
    first = Pace(jobs=10, seconds=1.0, cpu_seconds={"worker": 0.5})
    second = Pace(jobs=30, seconds=3.0, cpu_seconds={"worker": 0.7, "temporal": 0.8})

    both = first + second

    assert both.jobs_per_second == 10
    assert both.cpu_ms_per_job == pytest.approx(50)
    assert both.cpu_seconds == pytest.approx({"worker": 1.2, "temporal": 0.8})
