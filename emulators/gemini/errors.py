"""Google's error model: a status, its canonical name, and details that tell what is meant."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
TYPE = "type.googleapis.com/google.rpc."
SERVICE = "generativelanguage.googleapis.com"
LIMITS_PAGE = "https://ai.google.dev/gemini-api/docs/rate-limits"

Details = Sequence[Mapping[str, Any]]


class RefusedGemini(Exception):
    """The call is answered with an error; nothing is accepted or billed.

    Args:
        code: the HTTP status.
        message: why.
        status: the canonical name, where it is not the usual one of the code.
        details: typed objects.
    """

    def __init__(
        self, code: int, message: str, *, status: str | None = None, details: Details = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details


def error_body(
    code: int, message: str, *, status: str | None = None, details: Details = ()
) -> Mapping[str, object]:
    """Shape the body of an error."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "status": status or NAMES.get(code, "UNKNOWN"),
    }
    return {"error": {**error, "details": list(details)} if details else error}


def invalid_key() -> RefusedGemini:
    """Refuse a key; Google calls it an invalid argument."""
    told = "API key not valid. Please pass a valid API key."
    reason = {
        "@type": f"{TYPE}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE},
    }
    localized = {"@type": f"{TYPE}LocalizedMessage", "locale": "en-US", "message": told}
    return RefusedGemini(400, told, details=(reason, localized))


def quota_exceeded(model: str, *, per: str, retry_delay: str | None) -> RefusedGemini:
    """Refuse a call too many.

    Args:
        model: whose quota it is.
        per: minute or day.
        retry_delay: like 15s; None leaves RetryInfo out.
    """
    window = {"minute": "PerMinute", "day": "PerDay"}[per]
    violation = {
        "quotaMetric": f"{SERVICE}/generate_requests_per_model",
        "quotaId": f"GenerateRequests{window}PerProjectPerModel",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "10",
    }
    details: list[dict[str, Any]] = [
        {"@type": f"{TYPE}QuotaFailure", "violations": [violation]},
        {
            "@type": f"{TYPE}Help",
            "links": [{"description": "about rate limits", "url": LIMITS_PAGE}],
        },
    ]
    if retry_delay is not None:
        details.append({"@type": f"{TYPE}RetryInfo", "retryDelay": retry_delay})
    return RefusedGemini(429, f"You exceeded the quota of {model} per {per}.", details=details)


def failed_precondition(about: str) -> RefusedGemini:
    """Refuse a caller whose account or country does not allow any call."""
    told = {
        "billing": "Billing is not enabled for this project; set up a paid plan.",
        "location": "User location is not supported for the API use.",
    }
    return RefusedGemini(400, told[about], status="FAILED_PRECONDITION")


async def answer_refused(_: Request, raised: Exception) -> Response:
    """Answer a refused call; the app calls this for every RefusedGemini."""
    refused = cast("RefusedGemini", raised)
    body = error_body(refused.code, refused.message, status=refused.status, details=refused.details)
    return JSONResponse(body, refused.code)
