"""Read the three submit bodies into one order, as strictly as the provider does."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from emulators.pictures.envelopes import INVALID, RefusedPicture
from emulators.sizes import picture_size

HttpUrl = Annotated[str, Field(max_length=4096)]
Prompt = Annotated[str, Field(min_length=1, max_length=20_000)]
Resolution = Literal["1K", "2K", "4K"]
Format = Literal["jpg", "png"]
Ratio = Literal[
    "auto", "1:1", "9:16", "16:9", "3:4", "4:3", "3:2", "2:3", "5:4", "4:5", "21:9",
    "1:4", "4:1", "1:8", "8:1",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a task has to draw. Everything that shapes the picture is in here."""

    model: str
    prompt: str
    count: int
    resolution: Resolution
    ratio: str
    format: Format
    image_urls: tuple[str, ...]
    callback_url: str | None
    is_first_generation: bool  # /generate: its callback has a shape of its own

    @property
    def operation(self) -> str:
        """Name the operationType that record-info shows."""
        return f"{self.model}_{self.resolution.lower()}"

    def size(self, pixels: int) -> tuple[int, int]:
        """Give width and height.

        Args:
            pixels: side of a square 1K picture.
        """
        ratio = None if self.ratio == "auto" else self.ratio
        return picture_size(self.resolution, ratio, pixels)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)

    prompt: Prompt
    callback_url: HttpUrl | None = Field(default=None, alias="callBackUrl")

    @model_validator(mode="after")
    def _callback_is_http(self) -> Self:
        _check_http(self.callback_url)
        return self


class GenerateBody(_Body):
    """POST /generate; the type words are misspelt by the provider."""

    type: Literal["TEXTTOIAMGE", "IMAGETOIAMGE"]
    count: int = Field(default=1, ge=1, le=4, alias="numImages")
    image_urls: tuple[HttpUrl, ...] | None = Field(default=None, max_length=14, alias="imageUrls")
    ratio: Ratio = Field(default="1:1", alias="image_size")

    @model_validator(mode="after")
    def _has_photo_to_edit(self) -> Self:
        if self.type == "IMAGETOIAMGE" and not self.image_urls:
            raise ValueError("imageUrls: needed for type IMAGETOIAMGE")
        return self

    def order(self) -> Order:
        """Order one to four 1K pictures."""
        photos = self.image_urls or ()
        return Order(
            model="nano-banana",
            prompt=self.prompt,
            count=self.count,
            resolution="1K",
            ratio=self.ratio,
            format="png",
            image_urls=photos if self.type == "IMAGETOIAMGE" else (),
            callback_url=self.callback_url,
            is_first_generation=True,
        )


class Generate2Body(_Body):
    """POST /generate-2."""

    image_urls: tuple[HttpUrl, ...] | None = Field(default=None, max_length=14, alias="imageUrls")
    ratio: Ratio = Field(default="auto", alias="aspectRatio")
    resolution: Resolution = "1K"
    google_search: bool = Field(default=False, alias="googleSearch")
    format: Format = Field(default="jpg", alias="outputFormat")

    def order(self) -> Order:
        """Order one picture of the second model."""
        return _single(self, model="nano-banana-2", resolution=self.resolution)


class GenerateProBody(_Body):
    """POST /generate-pro; here the resolution has to be named."""

    image_urls: tuple[HttpUrl, ...] | None = Field(default=None, max_length=8, alias="imageUrls")
    ratio: Ratio = Field(default="auto", alias="aspectRatio")
    resolution: Resolution
    format: Format = Field(default="png", alias="outputFormat")

    def order(self) -> Order:
        """Order one picture of the large model."""
        return _single(self, model="nano-banana-pro", resolution=self.resolution)


AnyBody = GenerateBody | Generate2Body | GenerateProBody


def read_order(body: bytes, kind: type[AnyBody]) -> Order:
    """Read a submit body.

    Raises:
        RefusedPicture: 422 naming the first field that is wrong.
    """
    try:
        return kind.model_validate_json(body).order()
    except ValidationError as invalid:
        first: Any = invalid.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        message = f"{place}: {first['msg']}" if place else first["msg"]
        raise RefusedPicture(INVALID, message) from None


def _single(body: Generate2Body | GenerateProBody, *, model: str, resolution: Resolution) -> Order:
    return Order(
        model=model,
        prompt=body.prompt,
        count=1,
        resolution=resolution,
        ratio=body.ratio,
        format=body.format,
        image_urls=body.image_urls or (),
        callback_url=body.callback_url,
        is_first_generation=False,
    )


def _check_http(address: str | None) -> None:
    if address is not None and not address.startswith(("http://", "https://")):
        raise ValueError("callBackUrl: not an http address")
