"""Problems (RFC 9457), and which failure becomes which. The one translation into HTTP."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from darkroom.domain.errors import DarkroomError, FileMissing, FilesUnavailable, StoreUnavailable
from gateway.faults import Fault, faults_of

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2  # an outage that is over by then is the usual one


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """A stable code with its status and title."""

    code: str
    status: int
    title: str


VALIDATION_FAILED = ProblemKind(
    code="validation_failed", status=422, title="The request is not valid"
)
DIFFERENCE_INFEASIBLE = ProblemKind(
    code="difference_infeasible", status=422, title="Not enough combinations differ that much"
)
IDEMPOTENCY_MISMATCH = ProblemKind(
    code="idempotency_mismatch", status=422, title="This key was used for another request"
)
UNAUTHENTICATED = ProblemKind(
    code="unauthenticated", status=401, title="The request has no valid API key"
)
SCOPE_MISSING = ProblemKind(code="scope_missing", status=403, title="This key may not do that")
NOT_FOUND = ProblemKind(code="not_found", status=404, title="There is no such thing here")
METHOD_NOT_ALLOWED = ProblemKind(
    code="method_not_allowed", status=405, title="This address does not take that method"
)
JOB_FINISHED = ProblemKind(code="job_finished", status=409, title="The job is already over")
WRONG_STATE = ProblemKind(code="wrong_state", status=409, title="Not in the state it is in")
USE_FORK = ProblemKind(code="use_fork", status=409, title="A completed job is final")
QUEUE_FULL = ProblemKind(code="queue_full", status=429, title="Too many jobs are waiting")
QUEUE_DRAINING = ProblemKind(
    code="queue_draining", status=503, title="No jobs are taken in right now"
)
TOO_LARGE = ProblemKind(code="too_large", status=413, title="The body is too large")
UNSUPPORTED_FILE = ProblemKind(
    code="unsupported_file", status=415, title="The file is not a picture we take"
)
TOO_MANY_CONNECTIONS = ProblemKind(
    code="too_many_connections", status=503, title="This gateway has all the sockets it serves"
)
RANGE_NOT_SATISFIABLE = ProblemKind(
    code="range_not_satisfiable", status=416, title="The range lies outside the file"
)
UNAVAILABLE = ProblemKind(
    code="unavailable", status=503, title="A part of the service does not answer"
)
INTERNAL = ProblemKind(code="internal", status=500, title="Something went wrong on our side")

_BY_STATUS = {
    kind.status: kind
    for kind in (UNAUTHENTICATED, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED_FILE)
}


class Problem(Exception):
    """An answer that is not the one the caller hoped for."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        remedy: str | None = None,
        faults: Sequence[Fault] = (),
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.remedy = remedy
        self.faults = tuple(faults)
        self.more = dict(more or {})
        self.headers = dict(headers or {})


def not_found(what: str, which: str) -> Problem:
    """Answer for what is not there, and for what is not the caller's: the same words."""
    return Problem(
        NOT_FOUND, f"no {what} {which!r} belongs to this key", remedy="check the id and the API key"
    )


def invalid(faults: Sequence[Fault]) -> Problem:
    """Answer for a request with at least one fault; the first one stands at the top."""
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:3])
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""  # noqa: PLR2004 -- what fits a line
    return Problem(VALIDATION_FAILED, detail + more, remedy=faults[0].remedy, faults=faults)


def unavailable(what: str) -> Problem:
    """Answer while a part of the house is down."""
    return Problem(
        UNAVAILABLE,
        f"{what} does not answer",
        remedy=f"try again in {RETRY_AFTER_SECONDS} seconds; nothing was changed that a repeat "
        "with the same Idempotency-Key would repeat",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def unheard(what: str, *, remedy: str) -> Problem:
    """Answer when what was asked for may still come about, because nobody said no."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem(UNAVAILABLE, what, remedy=remedy, headers=headers)


def problem_response(problem: Problem) -> Response:
    """Write a problem as RFC 9457 says."""
    content: dict[str, Any] = {
        "type": f"urn:darkroom:problem:{problem.kind.code}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "code": problem.kind.code,
    }
    if problem.faults:
        content["field"] = problem.faults[0].field
        content["errors"] = [fault.json() for fault in problem.faults]
    if problem.remedy:
        content["remedy"] = problem.remedy
    return JSONResponse(
        content | problem.more,
        status_code=problem.kind.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Which exception becomes which problem."""

    raised: type[Exception]
    problem: Callable[[Exception], Problem] = field()


def install_errors(app: FastAPI) -> None:
    """Make every failure of every route a problem."""
    translations = (
        Translation(raised=Problem, problem=lambda error: cast("Problem", error)),
        Translation(raised=RequestValidationError, problem=_of_validation),
        Translation(raised=HTTPException, problem=_of_http),
        Translation(raised=StoreUnavailable, problem=lambda _: unavailable("the database")),
        Translation(raised=FilesUnavailable, problem=lambda _: unavailable("the file store")),
        Translation(raised=RPCError, problem=_of_temporal),
        Translation(raised=FileMissing, problem=_of_missing_file),
        Translation(raised=Exception, problem=_of_bug),
    )
    for translation in translations:
        app.add_exception_handler(translation.raised, _answer(translation.problem))


def _answer(
    problem_of: Callable[[Exception], Problem],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_request: Request, error: Exception) -> Response:
        return problem_response(problem_of(error))

    return answer


def _of_validation(error: Exception) -> Problem:
    return invalid(faults_of(cast("RequestValidationError", error).errors()))


def _of_http(error: Exception) -> Problem:
    http = cast("HTTPException", error)
    headers = dict(http.headers or {})
    kind = _BY_STATUS.get(http.status_code)
    if kind is not None:
        return Problem(kind, str(http.detail), remedy=_REMEDIES.get(kind.code), headers=headers)
    fault = Fault(
        field="body",
        message=str(http.detail),
        remedy="send one well-formed body, see /openapi.json",
    )
    return invalid([fault])


def _of_temporal(error: Exception) -> Problem:
    rpc = cast("RPCError", error)
    log.warning("temporal_refused", status=rpc.status.name, message=rpc.message)
    return unavailable("Temporal")


def _of_missing_file(error: Exception) -> Problem:
    log.error("file_missing", message=str(error))
    return Problem(NOT_FOUND, str(error), remedy="tell the operator: the file should be here")


def _of_bug(error: Exception) -> Problem:
    code = error.code if isinstance(error, DarkroomError) else type(error).__name__
    log.error("request_failed", code=code, exc_info=error)
    return Problem(INTERNAL, "the request failed for a reason we did not foresee")


_REMEDIES = {
    NOT_FOUND.code: "see /openapi.json for the addresses there are",
    METHOD_NOT_ALLOWED.code: "see the Allow header",
    TOO_LARGE.code: "send less; the limit stands in the detail",
}
