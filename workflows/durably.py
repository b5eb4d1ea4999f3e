"""Ask the store: quickly when it answers, patiently when it does not.

Quickly means by a local activity: milliseconds, one event. Its answer has no place of its own in
the history, though: when a query comes while it runs, the SDK (1.35) ends the task with the
answer and acts on it in the next one, after the orders that came meanwhile, and a replay acts on
it before them. So whatever is followed by a command whose order matters is asked steadily, by a
regular activity. See docs/adr/0007.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from workflows.options import PATIENT_STORE, QUICK_STORE

Question = TypeVar("Question")
Answer = TypeVar("Answer")


async def steadily(
    method: Callable[[Any, Question], Awaitable[Answer]], question: Question
) -> Answer:
    """Run a store activity as a regular one, for as long as it takes."""
    return await workflow.execute_activity_method(method, question, **PATIENT_STORE)


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
        return await steadily(method, question)
