"""What operators write: every field of the dead letters' and the audit log's API."""

from typing import Annotated

from pydantic import Field, StringConstraints

from darkroom.domain.dead_letters import LetterState
from darkroom.domain.job import JobKind
from darkroom.domain.stages import Stage
from gateway.schemas import HIGHEST_SEQ, Printable, ProviderName, Reason, RetryEdits, Wire

MOST_AT_ONCE = 200  # letters in one bulk deed, each of which may take a second
LONGEST_AGE_SECONDS = 10 * 365 * 24 * 3600

Cursor = Annotated[str, StringConstraints(max_length=200)]
GivenReason = Annotated[Reason, StringConstraints(min_length=1)]
Code = Annotated[str, StringConstraints(max_length=64), Printable]
Owner = Annotated[str, StringConstraints(max_length=200), Printable]
Target = Annotated[str, StringConstraints(min_length=1, max_length=200), Printable]
PageSize = Annotated[int, Field(ge=1, le=200)]


class LettersAsked(Wire):
    """Which dead letters: each field narrows."""

    code: Code | None = None
    stage: Stage | None = None
    provider: ProviderName | None = None
    owner: Owner | None = None
    type: JobKind | None = None
    older_than_seconds: Annotated[int, Field(ge=0, le=LONGEST_AGE_SECONDS)] | None = None


class LettersCountQuery(LettersAsked):
    """`GET /v1/admin/dead-letters:count`."""

    status: LetterState = LetterState.PARKED


class LettersQuery(LettersCountQuery):
    """`GET /v1/admin/dead-letters`."""

    cursor: Cursor | None = None
    limit: PageSize = 50


class LetterQuery(Wire):
    """`GET /v1/admin/dead-letters/{jobId}`; without a run, of the latest that failed."""

    run: Annotated[int, Field(ge=1, le=HIGHEST_SEQ)] | None = None


class RedriveBody(Wire):
    """`POST /v1/admin/dead-letters/{jobId}/redrive`."""

    edits: RetryEdits = Field(default_factory=RetryEdits)
    reason: Reason = ""


class ReasonBody(Wire):
    """`POST /v1/admin/dead-letters/{jobId}/discard` and `.../reopen`: why."""

    reason: GivenReason


class BulkBody(Wire):
    """Which letters, oldest first, and how many of them at most."""

    filter: LettersAsked
    limit: Annotated[int, Field(strict=True, ge=1, le=MOST_AT_ONCE)]


class BulkRedriveBody(BulkBody):
    """`POST /v1/admin/dead-letters:redrive`: parked ones, all edited alike."""

    edits: RetryEdits = Field(default_factory=RetryEdits)
    reason: Reason = ""


class BulkDiscardBody(BulkBody):
    """`POST /v1/admin/dead-letters:discard`: parked ones, for one reason."""

    reason: GivenReason


class AuditQuery(Wire):
    """`GET /v1/admin/audit`."""

    target: Target | None = None
    cursor: Cursor | None = None
    limit: PageSize = 50
