"""Differences at the door: the neighbour's threshold is refused with its number, the rest runs."""

from typing import Any

from tests.support.gateways import RunningGateway, a_body

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

WEIGHTS = (0.3, 0.25, 0.25, 0.2)  # Source: providers.md 1.2


def the_neighbours_body(**changes: Any) -> dict[str, Any]:
    """Ask as the part of the product beside us does: weighted Euclid over coded options."""
    body = a_body(metric="euclidean", minDifference=2.5, **changes)
    for dimension, weight in zip(body["dimensions"].values(), WEIGHTS, strict=True):
        dimension["weight"] = weight
    return body


async def test_a_threshold_that_admits_two_is_refused_with_that_number(
    gateway: RunningGateway,
) -> None:
    """Eight cannot be had at 2.5: two can, it is proved, and the first suggestion is taken."""
    async with gateway.calling() as http:
        refused = await http.post("/v1/jobs", json=the_neighbours_body(count=8))
        problem = refused.json()
        suggestion = problem["suggestions"][0]
        two = await http.post("/v1/jobs", json=the_neighbours_body(count=2))
        milder = the_neighbours_body(count=8) | {suggestion["field"]: suggestion["value"]}
        eight = await http.post("/v1/jobs", json=milder)

    assert refused.status_code == 422
    assert problem["code"] == "difference_infeasible"
    assert problem["largestFeasibleCount"] == 2
    assert problem["proof"] == "plotkin"
    assert suggestion["feasibleCount"] == 8
    assert two.status_code == eight.status_code == 202


async def test_a_job_with_every_kind_of_constraint_is_taken_and_shown(
    gateway: RunningGateway,
) -> None:
    """The record shows the constraints in the form in which they may be sent again."""
    constraints = [
        {"forbid": {"weather": "snowy", "angle": "aerial"}},
        {"require": {"timeOfDay": ["morning", "noon"]}},
        {"if": {"weather": "rainy"}, "then": {"location": "urban"}},
        {"atMost": 1, "of": [{"weather": "rainy"}, {"angle": "closeup"}]},
    ]
    async with gateway.calling() as http:
        body = a_body(constraints=constraints, count=4, minDifference=2)
        taken = await http.post("/v1/jobs", json=body)

    assert taken.status_code == 202
    assert taken.json()["data"]["parameters"]["constraints"] == constraints
