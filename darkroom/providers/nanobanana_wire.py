"""What nanobananaapi.ai is sent and what it answers, as far as we read it.

Facts: https://docs.nanobananaapi.ai, autumn 2026; see providers.md 3.2.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from darkroom.domain.job import ImageSpec

SUCCESS = 200
GENERATING, SUCCEEDED, CREATE_FAILED, GENERATE_FAILED = range(4)  # successFlag
POLICY_CODE = 400  # with successFlag 3
POLICY_WORDS = ("policy", "policies", "nsfw", "sensitive", "prohibited", "safety", "moderation")
FORMATS = {"jpeg": "jpg", "jpg": "jpg"}  # anything else is asked for as png, which loses nothing


class Part(BaseModel):
    """A part of an answer; what it does not know is left unread."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Envelope(Part):
    """Every answer: the true status is in here, whatever HTTP says."""

    code: int
    msg: str | None = None


class Accepted(Part):
    """A task that was taken on."""

    task_id: str = Field(alias="taskId", min_length=1)


class SubmitAnswer(Part):
    """The answer to a submit that says 200."""

    content: Accepted = Field(alias="data")


class Results(Part):
    """Where pictures are; both names are seen."""

    result_url: str | None = Field(default=None, alias="resultImageUrl")
    result_urls: tuple[str, ...] | None = Field(default=None, alias="resultUrls")

    @property
    def first(self) -> str | None:
        """The address of the first picture."""
        return self.result_url or next(iter(self.result_urls or ()), None)


class TaskRecord(Part):
    """How a task stands."""

    flag: Literal[0, 1, 2, 3] = Field(alias="successFlag")  # any other says nothing we know
    results: Results | None = Field(default=None, alias="response")
    error_code: int | str | None = Field(default=None, alias="errorCode")
    error_message: str | None = Field(default=None, alias="errorMessage")

    @property
    def is_refused_by_policy(self) -> bool:
        """Say whether a failed task failed for what it was asked to show.

        Code 400 means the policy only where drawing failed: a task that could not even be
        created says 400 for a photo it could not fetch, too.
        """
        if self.flag == GENERATE_FAILED and str(self.error_code) == str(POLICY_CODE):
            return True
        told = (self.error_message or "").lower()
        return any(word in told for word in POLICY_WORDS)


class RecordAnswer(Part):
    """The answer to record-info that says 200; a task unknown by now is null."""

    content: TaskRecord | None = Field(default=None, alias="data")


def _generate(prompt: str, image: ImageSpec, photos: Sequence[str]) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "type": "IMAGETOIAMGE" if photos else "TEXTTOIAMGE",  # spelt as the provider spells it
        "numImages": 1,
        "image_size": image.aspect_ratio,
    }


def _generate_2(prompt: str, image: ImageSpec, _: Sequence[str]) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "aspectRatio": image.aspect_ratio,
        "resolution": image.size,
        "outputFormat": FORMATS.get(image.format, "png"),
    }


def _generate_pro(prompt: str, image: ImageSpec, _: Sequence[str]) -> dict[str, Any]:
    return {"prompt": prompt, "aspectRatio": image.aspect_ratio, "resolution": image.size}


BodyWriter = Callable[[str, ImageSpec, Sequence[str]], dict[str, Any]]
ENDPOINTS: Mapping[str, tuple[str, BodyWriter]] = {
    "nano-banana": ("generate", _generate),
    "nano-banana-2": ("generate-2", _generate_2),
    "nano-banana-pro": ("generate-pro", _generate_pro),
}
