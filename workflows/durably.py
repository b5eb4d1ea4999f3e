"""Ask the store: quickly when it answers, patiently when it does not."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.options import PATIENT_STORE, QUICK_STORE

Question = TypeVar("Question")
Answer = TypeVar("Answer")


async def durably(
    method: Callable[[Any, Question], Awaitable[Answer]], question: Question
) -> Answer:
    """Run a store activity once locally, and for ever as a regular one when that fails."""
    try:
        return await workflow.execute_local_activity_method(method, question, **QUICK_STORE)
    except ActivityError:
        return await workflow.execute_activity_method(method, question, **PATIENT_STORE)
