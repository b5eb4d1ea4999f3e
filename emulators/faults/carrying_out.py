"""Carry out the faults that every endpoint shares, before a call is accepted and after."""

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from emulators.connections import reset_connection, wait_for_hang_up
from emulators.faults.plan import Fired
from emulators.faults.rules import (
    Hang,
    InBodyError,
    Latency,
    LatencyAfterAcceptance,
    ResetAfterAcceptance,
    ResetBeforeAcceptance,
    Status,
    TruncatedJson,
    WrongContentType,
)

ErrorShape = Callable[[int, str], Mapping[str, object]]  # a provider's body for a code and message

GATEWAY_PAGE = "<html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"


async def befall_before(fired: Fired, request: Request, error: ErrorShape) -> Response | None:
    """Wait, hang, reset or refuse before the call is accepted.

    Returns:
        What to answer instead; None when the call may go on.
    """
    if latency := fired.first(Latency):
        await asyncio.sleep(latency.seconds)
    if fired.first(Hang):
        return await wait_for_hang_up(request)
    if fired.first(ResetBeforeAcceptance):
        return await reset_connection(request)
    if status := fired.first(Status):
        return _refusal(status, error)
    if wrong := fired.first(InBodyError):
        return JSONResponse(error(wrong.code, wrong.msg))
    return None


async def befall_after(fired: Fired, request: Request, answer: Response) -> Response:
    """Delay, lose or garble the answer to a call that was accepted."""
    if latency := fired.first(LatencyAfterAcceptance):
        await asyncio.sleep(latency.seconds)
    if fired.first(ResetAfterAcceptance):
        return await reset_connection(request)
    if fired.first(TruncatedJson):
        return Response(answer.body[: len(answer.body) // 2], media_type="application/json")
    if fired.first(WrongContentType):
        return HTMLResponse(GATEWAY_PAGE)
    return answer


def _refusal(rule: Status, error: ErrorShape) -> Response:
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    return JSONResponse(error(rule.status, rule.message), rule.status, headers)
