"""Whether this process lives, and whether it can serve."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from darkroom.domain.errors import DarkroomError
from gateway.answers import Readiness
from gateway.deps import Check, Served

CHECK_WITHIN_SECONDS = 2.0

router = APIRouter(tags=["health"])


@router.get("/livez")
async def live() -> dict[str, str]:
    """Say that the event loop turns."""
    return {"status": "ok"}


@router.get("/readyz", responses={200: {"model": Readiness}, 503: {"model": Readiness}})
async def ready(gateway: Served, verbose: Annotated[str | None, Query()] = None) -> JSONResponse:
    """Say whether everything a request may need answers; `?verbose` names each."""
    names = list(gateway.checks)
    verdicts = await asyncio.gather(*(_verdict(gateway.checks[name]) for name in names))
    is_ready = all(verdict == "ok" for verdict in verdicts)
    content: dict[str, Any] = {"status": "ok" if is_ready else "unavailable"}
    if verbose is not None:
        content["checks"] = dict(zip(names, verdicts, strict=True))
    return JSONResponse(content, status_code=200 if is_ready else 503)


async def _verdict(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_WITHIN_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_WITHIN_SECONDS:g} s"
    except DarkroomError as error:
        return f"{error.code}: {error}"
    except Exception as error:  # noqa: BLE001 -- a check that fails in any way is a verdict
        return f"{type(error).__name__}: {error}"
    return "ok"
