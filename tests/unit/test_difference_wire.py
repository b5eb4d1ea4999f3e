"""Differences on the wire and in payloads: what is read, refused, shown, and still understood."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_json

from darkroom.domain.attempts import Analyzed, AnalyzeOrder
from darkroom.domain.difference import (
    AtMost,
    Constraint,
    DifferenceRequest,
    Forbid,
    Imply,
    Metric,
    Proof,
    Require,
)
from darkroom.domain.errors import DifferenceInfeasible
from darkroom.domain.events import canonical_json
from darkroom.domain.job import JobRequest, difference_request
from darkroom.settings import Settings
from gateway.acceptance import accept
from gateway.errors import Problem
from gateway.infeasible import infeasible_problem
from gateway.request_wire import request_json
from gateway.schemas import JobBody
from tests.support.builders import ADA, JOB
from tests.support.differences import a_request, answer, chosen_by, some_dimensions
from tests.support.gateways import a_body

EVERY_KIND = [
    {"forbid": {"weather": "snowy", "angle": "aerial"}},
    {"require": {"timeOfDay": ["morning", "noon"]}},
    {"if": {"weather": "rainy"}, "then": {"location": ["urban", "rural"], "angle": "ground"}},
    {"atMost": 1, "of": [{"weather": "rainy"}, {"timeOfDay": ["evening", "night"]}]},
]


def accepted(**changes: Any) -> JobRequest:
    """Accept a body."""
    return accept(JobBody.model_validate(a_body(**changes)), Settings()).request


def faults(**changes: Any) -> dict[str, str]:
    """Be refused; answers the remedies by field."""
    with pytest.raises(Problem) as refused:
        accepted(**changes)
    return {fault.field: fault.remedy for fault in refused.value.faults}


def test_every_kind_of_constraint_is_read() -> None:
    """A single option may be written without brackets."""
    assert accepted(constraints=EVERY_KIND).constraints == (
        Forbid(forbid=(("weather", "snowy"), ("angle", "aerial"))),
        Require(require=(("timeOfDay", ("morning", "noon")),)),
        Imply(
            when=(("weather", ("rainy",)),),
            then=(("location", ("urban", "rural")), ("angle", ("ground",))),
        ),
        AtMost(
            most=1,
            of=((("weather", ("rainy",)),), (("timeOfDay", ("evening", "night")),)),
        ),
    )


def test_what_a_choice_is_asked_for_can_be_sent_again() -> None:
    """Constraints, metric, scales, exclusions and the distance to the history come back."""
    body = a_body(constraints=EVERY_KIND, metric="gower", minDifference=0.5)
    body["dimensions"]["timeOfDay"]["ordinal"] = True
    body["historyMinDifference"] = 0.25
    body["exclude"] = [
        {"angle": "ground", "timeOfDay": "noon", "weather": "sunny", "location": "urban"}
    ]
    first = accept(JobBody.model_validate(body), Settings()).request
    again = accept(JobBody.model_validate(request_json(first)), Settings()).request

    assert again == first
    assert first.dimensions[0].ordinal is True
    assert first.history_min_difference == 0.25
    assert first.exclusions is not None
    assert first.exclusions[0][0] == ("timeOfDay", "noon")
    assert request_json(first)["constraints"] == EVERY_KIND


def test_what_was_not_said_is_not_shown() -> None:
    """A request without scales and exclusions is written as it always was."""
    written = request_json(accepted())

    assert not {"historyMinDifference", "exclude"} & written.keys()
    assert "ordinal" not in written["dimensions"]["weather"]


def test_what_a_job_asks_reaches_the_differentiator() -> None:
    """Every wish of the request is a wish of the question."""
    exclusion = {"timeOfDay": "noon", "weather": "sunny", "location": "urban", "angle": "ground"}
    request = accepted(constraints=EVERY_KIND, historyMinDifference=1, exclude=[exclusion])

    asked = difference_request(request, job_id=JOB)

    assert asked.constraints == request.constraints
    assert asked.history_min_difference == 1
    assert asked.exclusions == (tuple(exclusion.items()),)


@pytest.mark.parametrize(
    ("constraint", "field"),
    [
        ({}, "constraints.0"),
        ({"forbid": {"weather": "sunny"}, "require": {"weather": "sunny"}}, "constraints.0"),
        ({"if": {"weather": "sunny"}}, "constraints.0"),
        ({"then": {"weather": "sunny"}}, "constraints.0"),
        ({"atMost": 1}, "constraints.0"),
        ({"of": [{"weather": "sunny"}]}, "constraints.0"),
        ({"require": {"season": "winter"}}, "constraints.0.require.season"),
        ({"require": {"weather": ["sunny", "foggy"]}}, "constraints.0.require.weather"),
        (
            {"if": {"weather": "foggy"}, "then": {"angle": "aerial"}},
            "constraints.0.if.weather",
        ),
        (
            {"if": {"weather": "sunny"}, "then": {"angle": "sideways"}},
            "constraints.0.then.angle",
        ),
        ({"atMost": 0, "of": [{"moon": "full"}]}, "constraints.0.of.0.moon"),
        ({"atMost": 1, "of": [{"weather": "sunny"}]}, "constraints.0.atMost"),
    ],
    ids=str,
)
def test_a_wrong_constraint_is_refused_by_name(constraint: dict[str, Any], field: str) -> None:
    """Of no single kind, half a kind, or naming what there is not."""
    assert faults(constraints=[constraint])[field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"exclude": [{"weather": "sunny"}]}, "exclude.0"),
        ({"exclude": [{"weather": "foggy"}]}, "exclude.0.weather"),
        ({"historyMinDifference": 1.5}, "historyMinDifference"),
        (
            {
                "dimensions": {"place": {"options": ["cafe\u0301", "caf\u00e9"]}},
                "prompt": {"template": "a lamp"},
                "count": 1,
                "minDifference": 1,
            },
            "dimensions.place.options.1",
        ),
    ],
    ids=["half a combination", "unknown option", "half a dimension", "the same word twice"],
)
def test_a_wrong_wish_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    """What cannot be meant is not guessed."""
    assert faults(**changes)[field]


def test_more_conditions_than_can_be_looked_at_are_refused() -> None:
    """A request cannot keep a core busy with rules alone."""
    cap = {"atMost": 1, "of": [{"weather": "rainy"}] * 150}

    assert "400" in faults(constraints=[cap, cap, cap])["constraints"]


def test_fingerprints_of_requests_without_such_wishes_are_what_they_were() -> None:
    """An Idempotency-Key used before is still answered with its job."""
    request = accepted(constraints=EVERY_KIND[:1])

    written = json.loads(canonical_json(request))

    assert not {"history_min_difference", "exclusions"} & written.keys()
    assert written["dimensions"][0].keys() == {"name", "options", "weight"}
    assert written["constraints"] == [{"forbid": [["weather", "snowy"], ["angle", "aerial"]]}]


def test_payloads_recorded_before_are_still_read() -> None:
    """Histories hold questions and answers without the fields that came later."""
    recorded: dict[str, Any] = {
        "job_id": JOB,
        "owner": ADA,
        "request": {
            "dimensions": [{"name": "weather", "options": ["sunny", "rainy"], "weight": 1.0}],
            "constraints": [{"forbid": [["weather", "rainy"]]}],
            "count": 1,
            "metric": "hamming",
            "min_difference": 1.0,
            "history": [],
            "seed": 3,
        },
    }

    order = TypeAdapter(AnalyzeOrder).validate_json(json.dumps(recorded))
    analyzed = TypeAdapter(Analyzed).validate_json('{"combinations": [[["weather", "sunny"]]]}')

    assert order.request.constraints == (Forbid(forbid=(("weather", "rainy"),)),)
    assert order.request.exclusions == ()
    assert analyzed.certificate is None


@pytest.mark.parametrize("kind", range(len(EVERY_KIND)))
def test_every_constraint_survives_a_payload(kind: int) -> None:
    """What is read back is of the same kind."""
    (constraint,) = accepted(constraints=[EVERY_KIND[kind]]).constraints
    adapter = TypeAdapter[Constraint](Constraint)

    assert adapter.validate_json(to_json(constraint)) == constraint


def test_a_certificate_travels() -> None:
    """The analyze activity's answer holds it, and it is read back whole."""
    result = chosen_by(a_request(4, 4, 4, 4, count=8, min_difference=2))
    analyzed = Analyzed(combinations=result.combinations, certificate=result.certificate)

    read = TypeAdapter(Analyzed).validate_json(to_json(analyzed))

    assert read == analyzed
    assert len(to_json(result.certificate)) < 512


def test_a_refusal_tells_what_would_help_in_the_callers_own_fields() -> None:
    """The neighbour's threshold: two, proved, and the value at which eight exist."""
    weights = (0.3, 0.25, 0.25, 0.2)
    request = DifferenceRequest(
        dimensions=some_dimensions(4, 4, 4, 4, weights=weights),
        count=8,
        metric=Metric.EUCLIDEAN,
        min_difference=2.5,
    )
    refusal = answer(request)
    assert isinstance(refusal, DifferenceInfeasible)

    problem = infeasible_problem(refusal)

    first = problem.more["suggestions"][0]
    again = replace(request, min_difference=first["value"])
    assert problem.more["largestFeasibleCount"] == 2
    assert problem.more["proof"] == Proof.PLOTKIN
    assert (first["field"], first["feasibleCount"]) == ("minDifference", 8)
    assert len(chosen_by(again).combinations) == 8
    assert problem.remedy is not None
    assert "ask for at most 2" in problem.remedy
