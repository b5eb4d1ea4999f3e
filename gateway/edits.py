"""From a job that ended and what to change, to the input of its next run. Pure.

An edited request passes the same bounds as a submitted one. What was not edited stays as it
was accepted, whatever the bounds are by now.
"""

import json
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.job import JobPlans, JobRequest, JobStart, RetryTerms
from darkroom.settings import Settings
from gateway.acceptance import Accepted, accept
from gateway.errors import Problem, invalid
from gateway.faults import Fault, faults_of
from gateway.request_wire import request_json
from gateway.schemas import JobBody, RetryEdits

UNEDITED = RetryEdits()


def next_start(
    record: JobRecord, edits: RetryEdits, terms: RetryTerms, settings: Settings
) -> JobStart:
    """Say what the next run of a job is given; it keeps its place by when it was submitted.

    Raises:
        Problem: validation_failed, with every fault found.
    """
    before = record.start
    request, plans = before.request, before.plans
    if edits != UNEDITED:
        accepted = _accepted(before, edits, settings)
        request = _edited(request, accepted.request)
        plans = _edited_plans(plans, accepted.plans, edits)
    is_reworded = request.prompt != before.request.prompt
    is_redrawn = request.image != before.request.image
    return replace(
        before,
        expected_run=record.snapshot.run,
        request=request,
        plans=plans,
        retry=replace(terms, renews_prompts=is_reworded, opens_takes=is_reworded or is_redrawn),
        repair=None,
    )


def _accepted(before: JobStart, edits: RetryEdits, settings: Settings) -> Accepted:
    edited: dict[str, Any] = edits.model_dump(mode="json", by_alias=True, exclude_none=True)
    body = _merged(before, edited)
    try:
        return accept(JobBody.model_validate_json(json.dumps(body)), settings)
    except ValidationError as wrong:
        errors = wrong.errors(include_url=False, include_input=False)
        faults = faults_of({**error, "loc": ("body", *error["loc"])} for error in errors)
        raise invalid([_in_edits(fault, edited) for fault in faults]) from wrong
    except Problem as problem:
        raise invalid([_in_edits(fault, edited) for fault in problem.faults]) from problem


def _merged(before: JobStart, edited: dict[str, Any]) -> dict[str, Any]:
    body = request_json(before.request)
    image = edited.get("image", {})
    if "provider" in image and "model" not in image:
        del body["image"]["model"]  # of the other provider
    if "maxRetries" in edited and "retryStrategy" not in edited:
        body["retryStrategy"] = before.plans.generate.strategy
    for name, value in edited.items():
        body[name] = {**body[name], **value} if isinstance(value, dict) else value
    return body


def _edited(before: JobRequest, accepted: JobRequest) -> JobRequest:
    """Take from the accepted request what edits can reach; the rest was never written anew."""
    return replace(
        before,
        prompt=accepted.prompt,
        image=accepted.image,
        on_image_failure=accepted.on_image_failure,
    )


def _edited_plans(before: JobPlans, accepted: JobPlans, edits: RetryEdits) -> JobPlans:
    enhance, generate = before.enhance, before.generate
    if edits.retry_strategy is not None:
        enhance, generate = accepted.enhance, accepted.generate
    elif edits.max_retries is not None:
        enhance = replace(enhance, max_retries=edits.max_retries)
        generate = replace(generate, max_retries=edits.max_retries)
    return replace(
        accepted,
        timeout=accepted.timeout if edits.timeout_seconds else before.timeout,
        enhance=enhance,
        generate=generate,
        on_unknown=edits.on_unknown or before.on_unknown,
    )


def _in_edits(fault: Fault, edited: dict[str, Any]) -> Fault:
    """Name a field as the caller wrote it: what the edit broke stands under `edits`."""
    is_edited = fault.field.partition(".")[0] in edited
    return replace(fault, field=f"edits.{fault.field}") if is_edited else fault
