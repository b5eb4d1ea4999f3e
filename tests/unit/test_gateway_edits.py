"""What the next run of a job is given, and what a cancel would cost."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.control import CancelMode
from darkroom.domain.items import ItemState
from darkroom.domain.job import OnUnknown, RetryTerms
from darkroom.domain.ledger import LedgerRow, LedgerState
from darkroom.domain.retries import LINEAR, RetryPlan, RetryStrategy
from darkroom.settings import Settings
from gateway.edits import UNEDITED, next_start
from gateway.errors import Problem
from gateway.quotes import cancel_quote
from gateway.schemas import RetryEdits
from tests.support.builders import (
    ADA,
    PENNY_MICROS,
    PLANS,
    a_call,
    a_picture,
    a_request,
    a_snapshot,
    a_start,
    an_item,
)

TERMS = RetryTerms(by="grace")


def a_failed_job(**changes: Any) -> JobRecord:
    """A job whose second run failed."""
    return JobRecord(start=a_start(**changes), snapshot=a_snapshot(9, run=2))


def edits(**changes: Any) -> RetryEdits:
    """Read edits as a caller writes them."""
    return RetryEdits.model_validate(changes)


def test_unedited_retry_is_accepted_whatever_the_bounds_are_by_now() -> None:
    """An operator who lowers a bound does not strand what was accepted before."""
    strict = Settings.model_validate({"queue_max_images": 1, "max_retry_attempts": 0})

    start = next_start(a_failed_job(), UNEDITED, TERMS, strict)

    assert start == a_start(expected_run=2, retry=TERMS)


def test_edited_retry_passes_every_bound_of_a_submit() -> None:
    """Also bounds of what was not edited: the request is accepted as a whole."""
    strict = Settings.model_validate({"queue_max_images": 1})

    with pytest.raises(Problem) as refused:
        next_start(a_failed_job(), edits(image={"seed": 1}), TERMS, strict)

    assert [fault.field for fault in refused.value.faults] == ["count"]


def test_job_with_explicit_combinations_can_be_edited() -> None:
    """Its combinations and their order stay."""
    chosen = ((("a", "1"), ("b", "2")), (("a", "2"), ("b", "2")))
    request = a_request(
        dimensions=(), combinations=chosen, prompt=replace(a_request().prompt, template="{a}{b}")
    )

    start = next_start(
        a_failed_job(request=request), edits(prompt={"mode": "creative"}), TERMS, Settings()
    )

    assert start.request.combinations == chosen
    assert start.retry == replace(TERMS, renews_prompts=True, opens_takes=True)


@pytest.mark.parametrize(
    ("changes", "renews", "opens"),
    [
        ({"image": {"seed": 5}}, False, True),
        ({"prompt": {"template": "A lamp"}}, True, True),
        ({"image": {"seed": 0}}, False, False),
        ({"onImageFailure": "fail"}, False, False),
        ({"timeoutSeconds": 5}, False, False),
    ],
)
def test_only_an_edit_that_changes_a_picture_buys_anew(
    changes: dict[str, Any], *, renews: bool, opens: bool
) -> None:
    """An edit to the same value is none."""
    retry = next_start(a_failed_job(), edits(**changes), TERMS, Settings()).retry

    assert retry == replace(TERMS, renews_prompts=renews, opens_takes=opens)


def test_edited_strategy_and_count_reach_both_stages() -> None:
    """Another strategy brings its own waits; another count leaves them."""
    before = replace(PLANS, enhance=RetryPlan(), generate=LINEAR)
    job = a_failed_job(plans=before)

    other = next_start(job, edits(retryStrategy="linear"), TERMS, Settings()).plans
    fewer = next_start(job, edits(maxRetries=1), TERMS, Settings()).plans

    assert other.enhance.strategy is other.generate.strategy is RetryStrategy.LINEAR
    assert fewer.enhance == replace(RetryPlan(), max_retries=1)
    assert fewer.generate == replace(LINEAR, max_retries=1)
    assert fewer.timeout == other.timeout == PLANS.timeout


def test_edited_time_and_decision_are_taken() -> None:
    """The rest of the plans stays."""
    plans = next_start(
        a_failed_job(), edits(timeoutSeconds=7, onUnknown="rebuy_once"), TERMS, Settings()
    ).plans

    assert plans.timeout == timedelta(seconds=7)
    assert plans.on_unknown is OnUnknown.REBUY_ONCE
    assert plans.generate == PLANS.generate


def a_row(item: str, state: LedgerState, *, take: int = 1) -> LedgerRow:
    """Buy a picture as far as a state."""
    return LedgerRow(
        key=a_call(item=item, take=take),
        owner=ADA,
        provider="nanobanana",
        model="nano-banana-2",
        price_micros=PENNY_MICROS,
        state=state,
        fence=1,
    )


def test_quote_counts_only_the_take_that_a_picture_waits_for() -> None:
    """What an earlier take or a given-up picture cost is billed, and not in flight."""
    items = (
        an_item(key="0001", take=2, state=ItemState.PROMPTED),
        an_item(key="0002", state=ItemState.FAILED),
        an_item(key="0003", state=ItemState.STORED, picture=a_picture()),
    )
    rows = (
        a_row("0001", LedgerState.ACCEPTED),
        a_row("0001", LedgerState.READY, take=2),
        a_row("0002", LedgerState.ACCEPTED),
        a_row("0003", LedgerState.STORED),
    )
    record = replace(a_failed_job(request=a_request(count=3)), items=items)

    quote = cancel_quote(record, rows, prompts_micros=5, mode=CancelMode.NOW)

    assert (quote.kept, quote.in_flight, quote.unknown, quote.not_made) == (1, 1, 0, 2)
    assert quote.abandoned_micros == PENNY_MICROS
    assert quote.bills_micros == 4 * PENNY_MICROS + 5
    assert quote.saves_micros == 0  # it has cost what was estimated, and a little more


def test_quote_of_a_job_that_has_begun_nothing_saves_all() -> None:
    """Nothing was bought yet."""
    quote = cancel_quote(a_failed_job(), (), prompts_micros=0, mode=CancelMode.AFTER_CURRENT)

    assert (quote.bills_micros, quote.saves_micros) == (0, PLANS.estimated_micros)
    assert (quote.kept, quote.not_made) == (0, 2)
