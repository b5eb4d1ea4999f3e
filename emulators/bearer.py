"""Who may call: any bearer that is not empty, or exactly the one key the options name."""

import hmac

from starlette.requests import Request


def is_authorized(request: Request, api_key: str | None) -> bool:
    """Check the Authorization header.

    Args:
        request: the call.
        api_key: the only key let in; None lets in every bearer that is not empty.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return False
    return api_key is None or hmac.compare_digest(key.strip().encode(), api_key.encode())
