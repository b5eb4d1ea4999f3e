"""What Google's generateContent is sent and what it answers, as far as we read it.

Facts: Google's API reference, autumn 2026; see providers.md 3.1. Models and prices are
configuration.
"""

import base64
import re
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from darkroom.domain.ports import PictureOrder
from darkroom.providers.retry_after import LONGEST_WAIT

# Without it a model now and then answers in words; in a field report none did with it.
# Source: providers.md 3.1.
ONLY_THE_PICTURE = "Output the final image only."
ANY_RATIO = "auto"  # the model chooses
STOPPED = "STOP"
URL_SAFE = str.maketrans("-_", "+/")  # JSON of a protocol buffer may use either alphabet
SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


class Part(BaseModel):
    """A part of an answer; what it does not know is left unread."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Blob(Part):
    """Bytes in base64."""

    encoded: str = Field(alias="data", repr=False)

    def decoded(self) -> bytes:
        """Decode.

        Raises:
            binascii.Error: it is not base64.
        """
        return base64.b64decode(self.encoded.translate(URL_SAFE), validate=True)


class Piece(Part):
    """One piece of what was said: words, a thought, or a picture."""

    is_thought: bool = Field(default=False, alias="thought")
    inline: Blob | None = Field(default=None, alias="inlineData")


class Content(Part):
    """All pieces in order; a picture may stand anywhere among them."""

    pieces: tuple[Piece, ...] = Field(default=(), alias="parts")

    @property
    def picture(self) -> Blob | None:
        """The first picture that is not a draft of the thinking."""
        drawn = (piece.inline for piece in self.pieces if piece.inline and not piece.is_thought)
        return next(drawn, None)


class Candidate(Part):
    """An answer, and how it ended."""

    content: Content = Content()
    reason: str | None = Field(default=None, alias="finishReason")
    told: str = Field(default="", alias="finishMessage")


class PromptFeedback(Part):
    """Why there are no candidates."""

    reason: str | None = Field(default=None, alias="blockReason")
    told: str = Field(default="", alias="blockReasonMessage")


class TokenUsage(Part):
    """What is billed; zeros are left out by the provider."""

    answer: int = Field(default=0, alias="candidatesTokenCount")
    thoughts: int = Field(default=0, alias="thoughtsTokenCount")

    @property
    def has_output(self) -> bool:
        """Say whether anything was written or drawn."""
        return self.answer + self.thoughts > 0


class GeminiReply(Part):
    """A whole answer with status 200."""

    candidates: tuple[Candidate, ...] = ()
    feedback: PromptFeedback = Field(default=PromptFeedback(), alias="promptFeedback")
    usage: TokenUsage | None = Field(default=None, alias="usageMetadata")


class Violation(Part):
    """A quota that was used up."""

    quota_id: str = Field(default="", alias="quotaId")


class ErrorDetail(Part):
    """One of many kinds of details, told apart by what they have."""

    reason: str = ""
    retry_delay: str = Field(default="", alias="retryDelay")
    violations: tuple[Violation, ...] = ()


class ErrorInside(Part):
    """Google's error model."""

    code: int
    status: str
    message: str = ""
    details: tuple[ErrorDetail, ...] = ()

    @property
    def is_bad_key(self) -> bool:
        """Say whether it is about the key, which is a 400 here and no 401."""
        return any(detail.reason == "API_KEY_INVALID" for detail in self.details)

    @property
    def is_daily(self) -> bool:
        """Say whether a quota of the whole day is used up."""
        violations = (one for detail in self.details for one in detail.violations)
        return any("PerDay" in one.quota_id for one in violations)

    @property
    def retry_delay(self) -> timedelta | None:
        """How long to wait, as its RetryInfo says."""
        told = (SECONDS.fullmatch(detail.retry_delay) for detail in self.details)
        seconds = next((float(found[1]) for found in told if found), None)
        return None if seconds is None else min(timedelta(seconds=seconds), LONGEST_WAIT)


class GeminiRefusal(Part):
    """The body of every status but 200."""

    error: ErrorInside


def write_request(order: PictureOrder) -> dict[str, Any]:
    """Write the body of generateContent: the words first, then the photos.

    The format of the picture and a seed cannot be asked for: the provider chooses the format,
    and the same seed again would give the same refusal again.
    """
    wanted = {"imageSize": order.image.size}
    if order.image.aspect_ratio != ANY_RATIO:
        wanted["aspectRatio"] = order.image.aspect_ratio
    photos = [
        {
            "inlineData": {
                "mimeType": photo.media_type,
                "data": base64.b64encode(photo.content).decode(),
            }
        }
        for photo in order.photos
    ]
    words = {"text": f"{order.prompt}\n\n{ONLY_THE_PICTURE}"}
    return {
        "contents": [{"role": "user", "parts": [words, *photos]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": wanted},
    }
