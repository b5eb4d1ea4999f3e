"""The same request twice is one job: ids from keys, and fingerprints of requests."""

import hashlib

from typeid import TypeID
from typeid.codecs import base32
from uuid_utils import UUID

from darkroom.domain.events import canonical_json
from darkroom.domain.job import FileId, JobId, JobRequest, OwnerId
from gateway.errors import invalid
from gateway.faults import Fault

LONGEST_KEY = 255
UUID_BYTES = 16
CUSTOM_VERSION = 8  # RFC 9562: a UUID whose bits mean what its maker says


def fresh_job_id() -> JobId:
    """Make a sortable id."""
    return JobId(str(TypeID(prefix="job")))


def fresh_file_id() -> FileId:
    """Make a sortable id."""
    return FileId(str(TypeID(prefix="file")))


def job_id_of(owner: OwnerId, key: str) -> JobId:
    """Derive the one id that this owner's key can ever name."""
    digest = hashlib.sha256(f"{owner}\0{key}".encode()).digest()
    named = UUID(bytes=digest[:UUID_BYTES], version=CUSTOM_VERSION)
    return JobId(f"job_{base32.encode(named.bytes)}")


def request_digest(request: JobRequest) -> str:
    """Fingerprint a request as it was accepted, whatever its spelling or spelt-out defaults."""
    return hashlib.sha256(canonical_json(request).encode()).hexdigest()


def checked_key(key: str) -> str:
    """Accept an Idempotency-Key.

    Raises:
        Problem: it is empty, too long, or holds more than visible ASCII.
    """
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        fault = Fault(
            field="Idempotency-Key",
            message=f"is not 1 to {LONGEST_KEY} visible ASCII characters",
            remedy="send e.g. a UUID",
        )
        raise invalid([fault])
    return key
