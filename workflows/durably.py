"""Ask the store: quickly when it answers, patiently when it does not."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from workflows.options import PATIENT_STORE, QUICK_STORE

Question = TypeVar("Question")
Answer = TypeVar("Answer")


async def durably(
    method: Callable[[Any, Question], Awaitable[Answer]], question: Question
) -> Answer:
    """Run a store activity once locally, and for ever as a regular one when that fails.

    A failed local activity raises its cause as it is, not wrapped as a regular one's.
    """
    try:
        return await workflow.execute_local_activity_method(method, question, **QUICK_STORE)
    except FailureError as failed:
        if is_cancelled_exception(failed):
            raise
        return await workflow.execute_activity_method(method, question, **PATIENT_STORE)
