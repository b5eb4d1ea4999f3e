"""What an attempt knew of a paid answer, as one word of its heartbeat, and read back.

The next attempt may find it nowhere else: the store was away, and then the process died.
"""

import json
from dataclasses import asdict

from darkroom.domain.errors import Billing, Disposition, Failure
from darkroom.domain.items import StoredPicture


def write_picture(picture: StoredPicture) -> str:
    """Write a picture that is already in the file store."""
    return json.dumps(asdict(picture))


def read_picture(told: str) -> StoredPicture:
    """Read what `write_picture` wrote."""
    return StoredPicture(**json.loads(told))


def write_failure(failure: Failure) -> str:
    """Write why an answer that was paid for is of no use."""
    return json.dumps([failure.code, failure.message, failure.disposition, failure.provider])


def read_failure(told: str) -> Failure:
    """Read what `write_failure` wrote."""
    code, message, disposition, provider = json.loads(told)
    return Failure(
        code=code,
        message=message,
        disposition=Disposition(disposition),
        billing=Billing.BILLED,
        provider=provider,
    )
