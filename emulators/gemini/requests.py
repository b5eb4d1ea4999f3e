"""Read a generateContent body as strictly as Google does: an unknown field is an error."""

import base64
import binascii
import io
from dataclasses import dataclass
from typing import Any, Literal, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from emulators.gemini.errors import RefusedGemini
from emulators.prices import GEMINI_PRICES

MAX_REQUEST_BYTES = 20 * 1024 * 1024
MOST_PHOTOS = 14
DEFAULT_SIZE = "1K"
STANDARD = str.maketrans("-_", "+/")  # JSON of a protocol buffer may use either alphabet
LONG_RATIO_MODELS = ("gemini-nano-banana-2.1", "gemini-3.1-flash-image")
RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
LONG_RATIOS = ("1:4", "4:1", "1:8", "8:1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiOrder:
    """What is to be drawn."""

    model: str
    prompt: str
    size: str
    ratio: str | None
    seed: int
    photos: tuple[bytes, ...]


class _Wire(BaseModel):
    """Both spellings of a name are read, as in every JSON form of a protocol buffer."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class _Blob(_Wire):
    mime_type: str = Field(pattern=r"^image/(png|jpeg|webp|heic|heif)$")
    data: str = Field(min_length=1)


class _Part(_Wire):
    text: str | None = None
    inline_data: _Blob | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.text is None) == (self.inline_data is None):
            raise ValueError("a part has either text or inlineData here")
        return self


class _Turn(_Wire):
    parts: tuple[_Part, ...] = Field(min_length=1)
    role: Literal["user", "model"] | None = None


class _ImageConfig(_Wire):
    aspect_ratio: str | None = None
    image_size: str | None = None


class _ThinkingConfig(_Wire):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class _GenerationConfig(_Wire):
    response_modalities: tuple[Literal["TEXT", "IMAGE"], ...] = ("TEXT", "IMAGE")
    image_config: _ImageConfig = _ImageConfig()
    thinking_config: _ThinkingConfig | None = None
    candidate_count: Literal[1] = 1
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None


class _SafetySetting(_Wire):
    category: str
    threshold: str


class _Body(_Wire):
    contents: tuple[_Turn, ...] = Field(min_length=1)
    system_instruction: _Turn | None = None
    generation_config: _GenerationConfig = _GenerationConfig()
    safety_settings: tuple[_SafetySetting, ...] = ()


def read_order(model: str, body: bytes) -> GeminiOrder:
    """Read the body of POST /v1beta/models/{model}:generateContent; may take a moment.

    Raises:
        RefusedGemini: 400 naming the first thing that is wrong, 404 for the model.
    """
    sizes = GEMINI_PRICES.get(model)
    if sizes is None:
        raise RefusedGemini(
            404,
            f"models/{model} is not found for API version v1beta, or is not supported for "
            "generateContent.",
        )
    if len(body) > MAX_REQUEST_BYTES:
        raise RefusedGemini(400, f"Request payload size exceeds {MAX_REQUEST_BYTES} bytes.")
    read = _validated(body)
    wanted = read.generation_config.image_config
    size, ratio = wanted.image_size or DEFAULT_SIZE, wanted.aspect_ratio
    _refuse_unless("imageConfig.imageSize", size, tuple(sizes))
    if ratio is not None:
        long = LONG_RATIOS if model in LONG_RATIO_MODELS else ()
        _refuse_unless("imageConfig.aspectRatio", ratio, RATIOS + long)
    if "IMAGE" not in read.generation_config.response_modalities:
        raise RefusedGemini(400, f"models/{model} answers with an IMAGE; ask for that modality.")
    parts = [part for turn in read.contents for part in turn.parts]
    return GeminiOrder(
        model=model,
        prompt="\n".join(part.text for part in parts if part.text),
        size=size,
        ratio=ratio,
        seed=read.generation_config.seed or 0,
        photos=_photos([part.inline_data for part in parts if part.inline_data]),
    )


def _validated(body: bytes) -> _Body:
    try:
        return _Body.model_validate_json(body)
    except ValidationError as invalid:
        first: Any = invalid.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            told = f'Invalid JSON payload received. Unknown name "{place}": Cannot find field.'
        else:
            told = f"Invalid value at '{place}': {first['msg']}"
        raise RefusedGemini(400, told) from None


def _refuse_unless(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RefusedGemini(400, f"{name}: {value} is not one of {', '.join(known)}")


def _photos(blobs: list[_Blob]) -> tuple[bytes, ...]:
    if len(blobs) > MOST_PHOTOS:
        raise RefusedGemini(400, f"at most {MOST_PHOTOS} images, not {len(blobs)}")
    return tuple(_photo(blob) for blob in blobs)


def _photo(blob: _Blob) -> bytes:
    try:
        photo = base64.b64decode(blob.data.translate(STANDARD), validate=True)
    except binascii.Error:
        raise RefusedGemini(400, "inline_data.data: Base64 decoding failed") from None
    try:
        with Image.open(io.BytesIO(photo)) as opened:
            opened.load()
    except (OSError, ValueError, Image.DecompressionBombError):
        raise RefusedGemini(400, "Unable to process input image") from None
    return photo
