"""Requests as they are written: every field of the public API with its own bounds.

Bounds that depend on settings, prices, stored files or other fields stand in acceptance.py.
Sizes without another source are generous limits on what one person would write by hand.
"""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from darkroom.domain.control import CancelMode, Decision
from darkroom.domain.job import (
    JobKind,
    Metric,
    OnImageFailure,
    OnUnknown,
    Priority,
    PromptMode,
    RetryScope,
)
from darkroom.domain.lifecycle import JobState
from darkroom.domain.retries import RetryStrategy

# Fields of spec.md 1 that this version refuses instead of ignoring, where nothing takes them.
NOT_SERVED_YET = frozenset(
    {"dependsOn", "onDependencyFailure", "runAt", "budget", "callback", "labels"}
)

MOST_DIMENSIONS = 16
MOST_OPTIONS = 500
MOST_CONSTRAINTS = 200
MOST_COMBINATIONS = 1000  # the highest value QUEUE_MAX_IMAGES may have
MOST_VARIANTS = 50
MOST_LABELS = 16
MOST_PHOTOS = 14  # providers.md 3.2; some models take fewer
LARGEST_SEED = 2**31 - 1
HIGHEST_SEQ = 2**31 - 1  # of a database's whole numbers
LARGEST_WEIGHT = 1_000_000.0


def _printable(text: str) -> str:
    """Refuse control characters: a database or a log would choke on some of them."""
    if any(ord(char) < ord(" ") and char not in "\n\t" for char in text):
        raise PydanticCustomError(
            "control_character",
            "contains a control character",
            {"remedy": "remove characters below U+0020 other than tab and line feed"},
        )
    return text


def _identifier(text: str) -> str:
    if not (text.isascii() and text.isidentifier()):
        raise PydanticCustomError(
            "not_identifier",
            "is not an identifier: it must start with a letter or _ and hold only letters, "
            "digits and _",
            {"remedy": "rename it, e.g. timeOfDay"},
        )
    return text


def _listed(options: object) -> object:
    """Take a single option as a list of one."""
    return [options] if isinstance(options, str) else options


def _served_kind(kind: object) -> object:
    served = JobKind.IMAGE_GENERATION.value
    if kind in [one.value for one in JobKind] and kind != served:
        raise PydanticCustomError(
            "not_available",
            "{kind} jobs are not available in this version",
            {"kind": str(kind), "remedy": f"send type {served}"},
        )
    return kind


Printable = AfterValidator(_printable)
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(_identifier)
]
Phrase = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Printable
]
FileReference = Annotated[str, StringConstraints(min_length=1, max_length=64), Printable]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
LabelValue = Annotated[str, StringConstraints(min_length=1, max_length=100), Printable]
Template = Annotated[str, StringConstraints(min_length=1, max_length=4000), Printable]
ProviderName = Annotated[str, StringConstraints(max_length=40)]
ModelName = Annotated[str, StringConstraints(max_length=80)]
ShortWord = Annotated[str, StringConstraints(max_length=10)]
Reason = Annotated[str, StringConstraints(max_length=500, strip_whitespace=True), Printable]
ItemKey = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,6}$")]
Seed = Annotated[int, Field(strict=True, ge=0, le=LARGEST_SEED)]
Retries = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1)]
FiniteNumber = Annotated[float, Field(strict=True, allow_inf_nan=False)]
ChosenOptions = Annotated[dict[Identifier, Phrase], Field(min_length=1, max_length=MOST_DIMENSIONS)]
OneOrMoreOptions = Annotated[
    tuple[Phrase, ...],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(min_length=1, max_length=MOST_OPTIONS),
]
ConditionBody = Annotated[
    dict[Identifier, OneOrMoreOptions], Field(min_length=1, max_length=MOST_DIMENSIONS)
]


class Wire(BaseModel):
    """camelCase outside, snake_case inside; an unknown field is an error, not a shrug."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, validate_by_alias=True
    )


class DimensionBody(Wire):
    """One way in which the pictures may differ."""

    options: Annotated[tuple[Phrase, ...], Field(min_length=1, max_length=MOST_OPTIONS)]
    weight: Annotated[FiniteNumber, Field(gt=0, le=LARGEST_WEIGHT)] = 1.0
    ordinal: Annotated[bool, Field(strict=True)] | None = None


class ConstraintBody(Wire):
    """What a combination may not be: `forbid`, or `require`, or `if`/`then`, or `atMost`/`of`."""

    forbid: ChosenOptions | None = None
    require: ConditionBody | None = None
    when: Annotated[ConditionBody | None, Field(alias="if")] = None
    then: ConditionBody | None = None
    at_most: Annotated[int, Field(strict=True, ge=0)] | None = None
    of: (
        Annotated[tuple[ConditionBody, ...], Field(min_length=1, max_length=MOST_CONSTRAINTS)]
        | None
    ) = None


class PromptBody(Wire):
    """What every picture is asked for."""

    template: Template
    mode: PromptMode = PromptMode.BALANCED


class ImageBody(Wire):
    """Who draws, and on what."""

    provider: ProviderName = "nanobanana"
    model: ModelName | None = None
    aspect_ratio: ShortWord = "1:1"
    size: ShortWord = "1K"
    format: ShortWord = "png"
    seed: Seed = 0


class JobBody(Wire):
    """`POST /v1/jobs`: an image job."""

    type: Annotated[Literal["image_generation"], BeforeValidator(_served_kind)]
    priority: Priority = Priority.NORMAL
    product: Annotated[tuple[FileReference, ...], Field(max_length=MOST_PHOTOS)] = ()
    dimensions: Annotated[dict[Identifier, DimensionBody], Field(max_length=MOST_DIMENSIONS)] = (
        Field(default_factory=dict[str, DimensionBody])
    )
    constraints: Annotated[tuple[ConstraintBody, ...], Field(max_length=MOST_CONSTRAINTS)] = ()
    combinations: Annotated[tuple[ChosenOptions, ...], Field(max_length=MOST_COMBINATIONS)] = ()
    count: Count | None = None
    metric: Metric = Metric.HAMMING
    min_difference: Annotated[FiniteNumber, Field(gt=0)] = 1.0
    avoid_history: Annotated[bool, Field(strict=True)] = True
    history_min_difference: Annotated[FiniteNumber, Field(ge=0)] | None = None
    exclude: Annotated[tuple[ChosenOptions, ...], Field(max_length=MOST_COMBINATIONS)] = ()
    variants: Annotated[tuple[Phrase, ...], Field(max_length=MOST_VARIANTS)] = ()
    prompt: PromptBody
    image: ImageBody = Field(default_factory=ImageBody)
    on_image_failure: OnImageFailure = OnImageFailure.DELIVER
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=MOST_LABELS)] = Field(
        default_factory=dict[str, str]
    )
    timeout_seconds: Count | None = None
    max_retries: Retries | None = None
    retry_strategy: RetryStrategy | None = None
    on_unknown: OnUnknown = OnUnknown.ASK


class PauseBody(Wire):
    """`POST /v1/jobs/{id}/pause`; the reason stands in the job's log."""

    reason: Reason = ""


class ResumeBody(Wire):
    """`POST /v1/jobs/{id}/resume`: nothing to say."""


class CancelBody(Wire):
    """`POST /v1/jobs/{id}/cancel`."""

    mode: CancelMode = CancelMode.NOW


class CancelQuery(Wire):
    """`POST /v1/jobs/{id}/cancel`; a dry run answers what a cancel bills and saves."""

    dry_run: Annotated[bool, Field(alias="dry_run")] = False


class ChangeBody(Wire):
    """`PATCH /v1/jobs/{id}`."""

    priority: Priority


class DecideBody(Wire):
    """`POST /v1/jobs/{id}/decide`; without an item, about every purchase of unknown outcome."""

    decision: Decision
    item: ItemKey | None = None


class PromptEdits(Wire):
    """What to ask for instead."""

    template: Template | None = None
    mode: PromptMode | None = None


class ImageEdits(Wire):
    """Who is to draw instead, and on what."""

    provider: ProviderName | None = None
    model: ModelName | None = None
    aspect_ratio: ShortWord | None = None
    size: ShortWord | None = None
    format: ShortWord | None = None
    seed: Seed | None = None


class RetryEdits(Wire):
    """What a retry changes of the request; a field that is left out stays as it was."""

    prompt: PromptEdits = Field(default_factory=PromptEdits)
    image: ImageEdits = Field(default_factory=ImageEdits)
    on_image_failure: OnImageFailure | None = None
    timeout_seconds: Count | None = None
    max_retries: Retries | None = None
    retry_strategy: RetryStrategy | None = None
    on_unknown: OnUnknown | None = None


class RetryBody(Wire):
    """`POST /v1/jobs/{id}/retry`: the pictures that are not there, or all of them anew."""

    items: RetryScope = RetryScope.FAILED
    edits: RetryEdits = Field(default_factory=RetryEdits)


class NoQuery(Wire):
    """A route without parameters says so, so that a misspelt or future one is not ignored."""


Unasked = Annotated[NoQuery, Query()]


class JobListQuery(Wire):
    """`GET /v1/jobs`."""

    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    status: JobState | None = None
    type: JobKind | None = None
    priority: Priority | None = None
    label: Annotated[str, StringConstraints(pattern=r"^[^:]{1,40}:.{1,100}$"), Printable] | None = (
        None
    )


class EventsQuery(Wire):
    """`GET /v1/jobs/{id}/events`."""

    after: Annotated[int, Field(ge=0, le=HIGHEST_SEQ)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class ImageQuery(Wire):
    """`GET /v1/images/{sha256}`."""

    size: Literal["thumb"] | None = None


class FileContentQuery(Wire):
    """`GET /v1/files/{id}/content`."""

    t: Annotated[str, StringConstraints(max_length=200)] | None = None


class CallbackQuery(BaseModel):
    """`POST /v1/callbacks/...`; a provider may add parameters of its own."""

    t: Annotated[str, StringConstraints(max_length=200)] = ""


def field_names() -> tuple[str, ...]:
    """Name every field a job's body may have, for suggestions."""
    models: tuple[type[BaseModel], ...] = (
        JobBody,
        DimensionBody,
        ConstraintBody,
        PromptBody,
        ImageBody,
        RetryBody,
        RetryEdits,
    )
    names: dict[str, Any] = {}
    for model in models:
        names |= {field.alias or name: None for name, field in model.model_fields.items()}
    return tuple(names)
