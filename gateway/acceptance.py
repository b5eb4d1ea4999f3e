"""From a body to what runs.

Everything a workflow needs to know is resolved here, so that workflows read no settings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from darkroom.domain.job import (
    Combination,
    Dimension,
    FileId,
    ImageSpec,
    JobPlans,
    JobRequest,
    PromptSpec,
)
from darkroom.domain.retries import IMMEDIATE, LINEAR, RetryPlan, RetryStrategy
from darkroom.domain.stages import Stage
from darkroom.settings import Settings
from gateway.bounds import count_of, faults_in, model_of
from gateway.constraints import constraint_of
from gateway.errors import invalid
from gateway.offers import offers
from gateway.schemas import JobBody

# A prompt as we ask for it, in tokens; only the estimate depends on it.
PROMPT_TOKENS_IN = 700
PROMPT_TOKENS_OUT = 300
PEAK_FACTOR = 2  # settings hold the prices off peak; providers.md 2.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A request inside all bounds, and the plans its run will follow."""

    request: JobRequest
    plans: JobPlans


def accept(body: JobBody, settings: Settings) -> Accepted:
    """Make a domain request of a body.

    Raises:
        Problem: validation_failed, with every fault found.
    """
    faults = [*faults_in(body, settings)]
    if faults:
        raise invalid(faults)
    request = _request(body, settings)
    return Accepted(request=request, plans=_plans(body, request, settings))


def _request(body: JobBody, settings: Settings) -> JobRequest:
    return JobRequest(
        priority=body.priority,
        product=tuple(FileId(file) for file in body.product),
        dimensions=tuple(
            Dimension(name=name, options=one.options, weight=one.weight, ordinal=one.ordinal)
            for name, one in body.dimensions.items()
        ),
        constraints=tuple(map(constraint_of, body.constraints)),
        combinations=_in_one_order(body.combinations),
        count=count_of(body),
        metric=body.metric,
        min_difference=body.min_difference,
        avoid_history=body.avoid_history,
        variants=body.variants,
        prompt=PromptSpec(template=body.prompt.template, mode=body.prompt.mode),
        image=ImageSpec(
            provider=body.image.provider,
            model=model_of(body, settings),
            aspect_ratio=body.image.aspect_ratio,
            size=body.image.size,
            format=body.image.format,
            seed=body.image.seed,
        ),
        on_image_failure=body.on_image_failure,
        labels=dict(body.labels),
        history_min_difference=body.history_min_difference,
        exclusions=_ordered_as(tuple(body.dimensions), body.exclude) or None,
    )


def _in_one_order(combinations: tuple[Mapping[str, str], ...]) -> tuple[Combination, ...]:
    """Write every combination in the first one's order of dimensions."""
    return _ordered_as(tuple(combinations[0]) if combinations else (), combinations)


def _ordered_as(
    names: tuple[str, ...], combinations: tuple[Mapping[str, str], ...]
) -> tuple[Combination, ...]:
    return tuple(tuple((name, combination[name]) for name in names) for combination in combinations)


def _plans(body: JobBody, request: JobRequest, settings: Settings) -> JobPlans:
    kind = request.kind
    seconds = body.timeout_seconds
    timeout = timedelta(seconds=seconds) if seconds else settings.timeout_of(kind)
    return JobPlans(
        timeout=timeout,
        enhance=_retry_plan(body, settings, settings.strategy_of(kind, Stage.ENHANCE)),
        generate=_retry_plan(body, settings, settings.strategy_of(kind, Stage.GENERATE)),
        concurrency=settings.image_concurrency,
        estimated_micros=estimate_micros(request, settings),
        on_unknown=body.on_unknown,
    )


def estimate_micros(request: JobRequest, settings: Settings) -> int:
    """Estimate what a job costs when nothing fails: the pictures, and a prompt for each."""
    image = request.image
    price = offers(settings)[image.provider].prices[image.model, image.size]
    # USD per million tokens is micro-USD per token.
    prompt = PEAK_FACTOR * (
        PROMPT_TOKENS_IN * settings.deepseek_price_miss
        + PROMPT_TOKENS_OUT * settings.deepseek_price_output
    )
    return request.picture_count * (price + math.ceil(prompt))


def _retry_plan(body: JobBody, settings: Settings, usual: RetryStrategy) -> RetryPlan:
    allowed = settings.max_retry_attempts
    match body.retry_strategy or usual:
        case RetryStrategy.LINEAR:
            plan = replace(LINEAR, max_retries=allowed)
        case RetryStrategy.IMMEDIATE:
            plan = replace(IMMEDIATE, max_retries=min(IMMEDIATE.max_retries, allowed))
        case RetryStrategy.EXPONENTIAL:
            plan = RetryPlan(
                base_delay=settings.retry_base_delay,
                factor=settings.retry_backoff_factor,
                max_delay=settings.retry_max_delay,
                max_retries=allowed,
            )
    return plan if body.max_retries is None else replace(plan, max_retries=body.max_retries)
