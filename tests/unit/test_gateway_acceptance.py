"""What becomes of a job's body: bounds, defaults, plans and the estimate."""

import json
from datetime import timedelta
from typing import Any

import pytest

from darkroom.domain.difference import Forbid
from darkroom.domain.items import plan_items
from darkroom.domain.job import JobKind, JobRequest, OnUnknown
from darkroom.domain.prompts import fill_template
from darkroom.domain.retries import RetryStrategy
from darkroom.settings import Settings
from gateway.acceptance import Accepted, accept
from gateway.errors import Problem
from gateway.request_wire import request_json
from gateway.schemas import JobBody
from tests.support.gateways import a_body


def accepted(settings: Settings | None = None, **changes: Any) -> Accepted:
    """Accept a body."""
    return accept(JobBody.model_validate(a_body(**changes)), settings or Settings())


def test_example_of_the_specification_is_accepted_as_it_is_written() -> None:
    """The published example works."""
    request = accepted(
        product=["file_01jd000000000000000000000a"],
        constraints=[{"forbid": {"weather": "snowy", "angle": "aerial"}}],
        avoidHistory=True,
    ).request

    assert [dimension.name for dimension in request.dimensions] == [
        "timeOfDay",
        "weather",
        "location",
        "angle",
    ]
    assert request.constraints == (Forbid(forbid=(("weather", "snowy"), ("angle", "aerial"))),)
    assert request.picture_count == 8


def test_accepted_request_is_written_in_the_form_in_which_it_may_be_sent_again() -> None:
    """`data.parameters` can be copied into the next submit."""
    first = accepted(variants=["by day", "by night"]).request
    again = accept(JobBody.model_validate(request_json(first)), Settings()).request

    assert again == first


def test_accepted_request_with_explicit_combinations_can_be_sent_again_too() -> None:
    """Explicit combinations survive the round trip."""
    first = an_explicit_request()
    again = accept(JobBody.model_validate(request_json(first)), Settings()).request

    assert again == first


def an_explicit_request() -> JobRequest:
    """Ask for two named combinations, the second in another order."""
    chosen = [
        {"weather": "sunny", "angle": "aerial"},
        {"angle": "ground", "weather": "rainy"},
    ]
    body = {
        "type": "image_generation",
        "combinations": chosen,
        "prompt": {"template": "A lamp, {weather}, {angle}"},
    }
    return accept(JobBody.model_validate(body), Settings()).request


def test_explicit_combinations_are_counted_and_share_one_order() -> None:
    """The count follows from the combinations."""
    request = an_explicit_request()

    assert request.count == 2
    assert request.combinations == (
        (("weather", "sunny"), ("angle", "aerial")),
        (("weather", "rainy"), ("angle", "ground")),
    )


@pytest.mark.parametrize(
    "template",
    [
        "{timeOfDay} {weather}",
        "no field",
        "{{braces}} {angle}",
        "{angle}{angle}",
        "{variant} {angle}",
    ],
)
def test_accepted_template_can_always_be_filled(template: str) -> None:
    """What the door lets through never fails in the enhance stage."""
    request = accepted(prompt={"template": template}, variants=["at dawn {x}"]).request
    combination = tuple((one.name, one.options[0]) for one in request.dimensions)

    assert fill_template(request.prompt, plan_items(request, (combination,))[0])


def test_estimate_covers_every_picture_and_its_prompt() -> None:
    """The estimate is pictures times price, and a little for the prompts."""
    settings = Settings()
    price = settings.nanobanana_prices_micros["nano-banana-2/1K"]

    estimate = accepted(settings, count=4, variants=["by day", "by night"]).plans.estimated_micros

    assert 8 * price < estimate < 8 * price * 1.1


def test_plans_come_from_the_operators_settings() -> None:
    """Whoever names nothing gets the operator's defaults."""
    settings = Settings.model_validate(
        {"job_timeout": timedelta(minutes=3), "max_retry_attempts": 7, "image_concurrency": 2}
    )

    plans = accepted(settings).plans

    assert plans.timeout == timedelta(minutes=3)
    assert plans.generate.max_retries == plans.enhance.max_retries == 7
    assert plans.concurrency == 2


@pytest.mark.parametrize("strategy", list(RetryStrategy))
def test_caller_may_choose_among_the_three_retry_strategies(strategy: RetryStrategy) -> None:
    """Overrides inside the operator's bounds are taken."""
    plans = accepted(retryStrategy=strategy.value, maxRetries=1, timeoutSeconds=60).plans

    assert plans.generate.strategy is strategy
    assert plans.generate.max_retries == 1
    assert plans.timeout == timedelta(seconds=60)


def test_operator_chooses_a_strategy_for_each_kind_and_stage() -> None:
    """A caller who names one has it in both stages."""
    settings = Settings.model_validate(
        {"retry_strategies": {"image_generation/prompt_enhancement": "linear"}}
    )

    usual, chosen = accepted(settings).plans, accepted(settings, retryStrategy="immediate").plans

    assert usual.enhance.strategy is RetryStrategy.LINEAR
    assert usual.generate.strategy is RetryStrategy.EXPONENTIAL
    assert chosen.enhance.strategy is chosen.generate.strategy is RetryStrategy.IMMEDIATE
    assert chosen.enhance.max_retries == 1


@pytest.mark.parametrize("kind", list(JobKind))
def test_every_kind_has_a_time_limit_of_its_own(kind: JobKind) -> None:
    """JOB_TIMEOUT_<KIND>, and JOB_TIMEOUT for those that have none."""
    name = f"job_timeout_{kind}"
    settings = Settings.model_validate({name: 5_000, "job_timeout": 60_000})

    limits = {one: settings.timeout_of(one).total_seconds() for one in JobKind}

    assert limits == {one: 5 if one is kind else 60 for one in JobKind}


def test_caller_says_what_becomes_of_a_purchase_of_unknown_outcome() -> None:
    """Asking is the default: buying twice costs twice."""
    assert accepted().plans.on_unknown is OnUnknown.ASK
    assert accepted(onUnknown="rebuy_once").plans.on_unknown is OnUnknown.REBUY_ONCE


def test_immediate_retries_once() -> None:
    """More retries without any wait would only hammer a provider that is down."""
    with pytest.raises(Problem) as refused:
        accepted(retryStrategy="immediate", maxRetries=2)

    assert [fault.field for fault in refused.value.faults] == ["maxRetries"]


def test_every_fault_of_a_request_is_named_at_once() -> None:
    """Nobody mends a request one refusal at a time."""
    with pytest.raises(Problem) as refused:
        accepted(
            count=201, image={"model": "nano-banana-9"}, prompt={"template": "{a}"}, maxRetries=99
        )

    named = {fault.field for fault in refused.value.faults}
    assert named == {"count", "image.model", "prompt.template", "maxRetries"}


def test_request_survives_json() -> None:
    """What is accepted can be written as JSON as it stands."""
    assert json.loads(json.dumps(request_json(accepted().request)))["type"] == "image_generation"
