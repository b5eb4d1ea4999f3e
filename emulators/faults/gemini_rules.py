"""The faults that only Gemini has: Google's errors with details, and blocks inside a 200."""

from typing import Annotated, Literal

from pydantic import Field

from emulators.faults.rule import Endpoint, Rule

GEMINI = frozenset[Endpoint]({"gemini"})
Word = Annotated[str, Field(pattern=r"^[A-Z_]{1,60}$")]


class QuotaExceeded(Rule):
    """429 with QuotaFailure, Help and, unless it is null, RetryInfo; nothing is accepted."""

    allowed = GEMINI
    action: Literal["quota_exceeded"]
    per: Literal["minute", "day"] = "minute"
    retry_delay: str | None = "15s"


class KeyInvalid(Rule):
    """400 INVALID_ARGUMENT, which only its details tell from a malformed request."""

    allowed = GEMINI
    action: Literal["key_invalid"]


class Precondition(Rule):
    """400 FAILED_PRECONDITION: no billing account, or a country that is not served."""

    allowed = GEMINI
    action: Literal["failed_precondition"]
    about: Literal["billing", "location"] = "billing"


class PromptBlocked(Rule):
    """200 without candidates: the prompt was blocked; accepted, and not billed."""

    allowed = GEMINI
    action: Literal["prompt_blocked"]
    reason: Word = "SAFETY"


class Unfinished(Rule):
    """200 whose candidate ended for another reason, as a rule without a picture."""

    allowed = GEMINI
    action: Literal["unfinished"]
    reason: Word = "NO_IMAGE"
    billed: bool = True
    has_picture: bool = False


class OnlyWords(Rule):
    """200, STOP, and nothing but text; billed."""

    allowed = GEMINI
    action: Literal["only_words"]


class Surrounded(Rule):
    """The picture stands among thoughts, a draft and words."""

    allowed = GEMINI
    action: Literal["surrounded"]


class BrokenEncoding(Rule):
    """The picture is not base64; billed."""

    allowed = GEMINI
    action: Literal["broken_encoding"]
