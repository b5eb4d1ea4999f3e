"""Everything that can go wrong, classified once where it enters.

A leaf says two things beside its words: what to do about it (`disposition`) and what it
cost (`billing`). Only `billing: none` may be tried again freely.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from darkroom.domain.difference import Proof, Relaxation


class Disposition(StrEnum):
    """What to do about an error."""

    RETRYABLE = "retryable"  # spend an attempt and try again
    WAIT = "wait"  # try again later, without spending an attempt
    FATAL = "fatal"  # the same input will fail again


class Billing(StrEnum):
    """What a failed call cost."""

    NONE = "none"
    BILLED = "billed"
    UNKNOWN = "unknown"


class DarkroomError(Exception):
    """Root of the tree."""

    code: ClassVar[str] = "internal"


class DifferenceInfeasible(DarkroomError):
    """No set of that many combinations is that far apart."""

    code = "difference_infeasible"

    def __init__(
        self,
        message: str,
        *,
        largest_feasible: int,
        proof: Proof | None = None,
        relaxations: tuple[Relaxation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.largest_feasible = largest_feasible
        self.proof = proof  # why there are no more; None if more were merely not found
        self.relaxations = relaxations  # the most helpful first


class PictureFault(StrEnum):
    """Why bytes are not a picture we keep."""

    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNSUPPORTED = "unsupported"


class PictureUnusable(DarkroomError):
    """Bytes that claimed to be a picture are not one we can keep."""

    code = "picture_unusable"

    def __init__(self, message: str, *, reason: PictureFault) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailable(DarkroomError):
    """The database did not answer; nothing is known to be wrong with the question."""

    code = "store_unavailable"


class FilesUnavailable(DarkroomError):
    """The object store did not answer, or has no room."""

    code = "files_unavailable"


class FileMissing(DarkroomError):
    """No stored content has that hash."""

    code = "file_missing"


class PromptMissing(DarkroomError):
    """The prompt cache no longer holds a prompt that an item points to."""

    code = "prompt_missing"


class FenceLost(DarkroomError):
    """A later attempt took over this purchase; leave without touching anything."""

    code = "fence_lost"


class OperatorsUnreachable(DarkroomError):
    """Nobody took what operators should be told; it must be told again."""

    code = "operators_unreachable"


class IllegalTransition(DarkroomError):
    """A state was asked to become one that it cannot become."""

    code = "wrong_state"


class ProviderError(DarkroomError):
    """A paid API did not give what was asked."""

    disposition: ClassVar[Disposition] = Disposition.RETRYABLE
    billing: ClassVar[Billing] = Billing.NONE

    def __init__(
        self, message: str, *, provider: str, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.retry_after = retry_after
        self.cost_micros = 0  # what an answer cost that cannot be used, where that is known


class ProviderUnavailable(ProviderError):
    """Unreachable, overloaded, in maintenance or broken: not accepted, so nothing to pay."""

    code = "provider_unavailable"


class RateLimited(ProviderError):
    """Too fast for the provider."""

    code = "rate_limited"
    disposition = Disposition.WAIT


class KeyRefused(ProviderError):
    """The provider does not accept our key; an operator must act."""

    code = "key_refused"
    disposition = Disposition.WAIT


class CreditsExhausted(ProviderError):
    """The account is empty; an operator must top it up."""

    code = "credits_exhausted"
    disposition = Disposition.WAIT


class RequestRefused(ProviderError):
    """The provider calls the request malformed; the same request will fail again."""

    code = "request_refused"
    disposition = Disposition.FATAL


class ContentRefused(ProviderError):
    """The provider's content policy refuses the prompt or the picture."""

    code = "content_refused"
    disposition = Disposition.FATAL


class AnswerUnusable(ProviderError):
    """An answer came, and was paid for, but holds nothing we can use."""

    code = "answer_unusable"
    billing = Billing.BILLED


class GenerationFailed(ProviderError):
    """The provider accepted the task and says it failed; it gives the credits back."""

    code = "generation_failed"


class ReplyLost(ProviderError):
    """The call may or may not have been accepted; only its callback or a lookup can tell."""

    code = "reply_lost"
    billing = Billing.UNKNOWN


class ResultGone(ProviderError):
    """The picture was made and paid, but its address no longer answers."""

    code = "result_gone"
    billing = Billing.BILLED


class ResultUnusable(ProviderError):
    """The bytes at the result address are not the picture that was paid for."""

    code = "result_unusable"
    billing = Billing.BILLED


class TaskStuck(ProviderError):
    """The provider accepted the task and never finishes it."""

    code = "task_stuck"
    billing = Billing.BILLED


OPERATOR_CODES = frozenset({KeyRefused.code, CreditsExhausted.code})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as a value, small enough to travel: at most a few hundred bytes."""

    code: str
    message: str
    disposition: Disposition
    billing: Billing = Billing.NONE
    provider: str | None = None
    retry_after: timedelta | None = None
    model: str | None = None  # whose gate holds the call back


MESSAGE_LENGTH = 500


def failure_of(error: DarkroomError) -> Failure:
    """Turn a classified error into a value."""
    message = str(error)[:MESSAGE_LENGTH]
    if isinstance(error, ProviderError):
        return Failure(
            code=error.code,
            message=message,
            disposition=error.disposition,
            billing=error.billing,
            provider=error.provider,
            retry_after=error.retry_after,
        )
    return Failure(code=error.code, message=message, disposition=Disposition.FATAL)
