"""How an order to a workflow ends: carried out, refused, unheard, or there is nobody to hear it."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

Answer = TypeVar("Answer")

HEARD_WITHIN = timedelta(seconds=5)
WRONG_STATE = "wrong_state"
# The server's name for an update that was taken in, but whose workflow ended first.
_ENDED_FIRST = "AcceptedUpdateCompletedWorkflow"


class NotOpen(Exception):
    """No run of this workflow is open."""


class OrderUnheard(Exception):
    """No worker answered in time; the order may still be heard when one does."""


class OrderRefused(Exception):
    """The workflow cannot follow this order; the message is its own reason."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.code = code


async def heard(telling: Awaitable[Answer], *, who: str, within: timedelta) -> Answer:
    """Tell a workflow something, and wait a while for what it says.

    Raises:
        NotOpen, OrderUnheard, OrderRefused: as they say.
        RPCError: Temporal does not answer.
    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            return await telling
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as unheard:
        raise OrderUnheard(f"no worker took the order to {who}") from unheard
    except WorkflowUpdateFailedError as refused:
        raise _refusal(refused.cause, who) from refused
    except RPCError as refused:
        if refused.status is RPCStatusCode.NOT_FOUND:
            raise NotOpen(who) from refused
        raise


def _refusal(cause: BaseException, who: str) -> Exception:
    if not isinstance(cause, ApplicationError):
        return OrderRefused(str(cause), code=WRONG_STATE)
    if cause.type == _ENDED_FIRST:
        return NotOpen(who)
    return OrderRefused(cause.message, code=cause.type or WRONG_STATE)
