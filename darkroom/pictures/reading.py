"""Read bytes as a picture: what they are by their first bytes, their size by their header.

Nothing is decoded before its declared size is known to be bearable.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

from PIL import ExifTags, Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from darkroom.domain.errors import PictureFault, PictureUnusable
from darkroom.pictures.containers import (
    PNG_SIGNATURE,
    is_complete_avif,
    is_complete_jpeg,
    is_complete_png,
    is_complete_webp,
)

# 8000 x 8000; a decoder needs four bytes a pixel. Providers sell at most 4096 x 4096.
MAX_PIXELS = 64_000_000

# What Pillow raises for bytes it cannot make sense of, depending on where they go wrong.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    RuntimeError,
    struct.error,
)

UPRIGHT = 1  # EXIF orientation of a picture that is stored as it is to be seen


class PictureFormat(StrEnum):
    """A format we keep."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def media_type(self) -> str:
        """Name the format as HTTP does."""
        return f"image/{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded picture; `orientation` is EXIF's, 1 to 8."""

    format: PictureFormat
    image: Image.Image
    orientation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """How one format is read. Pillow's own `open` is avoided: its limits are global."""

    open: Callable[[BytesIO], ImageFile]
    is_complete: Callable[[bytes], bool]


_READERS = {
    PictureFormat.PNG: _Reader(open=PngImageFile, is_complete=is_complete_png),
    PictureFormat.JPEG: _Reader(open=JpegImageFile, is_complete=is_complete_jpeg),
    PictureFormat.WEBP: _Reader(open=WebPImageFile, is_complete=is_complete_webp),
    PictureFormat.AVIF: _Reader(open=AvifImageFile, is_complete=is_complete_avif),
}

_OTHER_PICTURES = {
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"\0\0\1\0": "ico",
    b"\xff\x0a": "jpeg xl",
    b"\0\0\0\x0cJXL ": "jpeg xl",
    b"\0\0\0\x0cjP  ": "jpeg 2000",
    b"8BPS": "psd",
    b"<svg": "svg",
}


def read_picture(content: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a whole picture.

    Raises:
        PictureUnusable: not a picture, of another format, cut short, animated or too large.
    """
    picture_format = format_of(content)
    reader = _READERS[picture_format]
    if not reader.is_complete(content):
        raise _truncated(picture_format, content)
    try:
        image = reader.open(BytesIO(content))
        _check_header(image, max_pixels)
        image.load()
    except Image.DecompressionBombError as bomb:
        raise _too_many_pixels(str(bomb), max_pixels) from bomb
    except DECODER_ERRORS as error:
        raise _truncated(picture_format, content) from error
    return Picture(format=picture_format, image=image, orientation=_orientation(image))


def format_of(content: bytes) -> PictureFormat:
    """Recognise a format by its first bytes.

    Raises:
        PictureUnusable: not a picture, or of a format we do not keep.
    """
    if content.startswith(PNG_SIGNATURE):
        return PictureFormat.PNG
    if content.startswith(b"\xff\xd8\xff"):
        return PictureFormat.JPEG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return PictureFormat.WEBP
    if content[4:8] == b"ftyp":
        return _format_of_boxes(content)
    for magic, name in _OTHER_PICTURES.items():
        if content.startswith(magic):
            raise _unsupported(f"a picture in {name} format")
    raise PictureUnusable(
        f"{len(content)} bytes do not start like any picture; send png, jpeg, webp or avif",
        reason=PictureFault.NOT_AN_IMAGE,
    )


def _format_of_boxes(content: bytes) -> PictureFormat:
    brands = content[8 : int.from_bytes(content[:4], "big")][:256]
    if b"avif" in brands or b"avis" in brands:
        return PictureFormat.AVIF
    raise _unsupported(f"a file of brand {brands[:4].decode('ascii', 'replace')!r}")


def _check_header(image: ImageFile, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise _too_many_pixels(f"{image.width} x {image.height} pixels", max_pixels)
    if getattr(image, "n_frames", 1) > 1:
        raise _unsupported("an animated picture")


def _orientation(image: ImageFile) -> int:
    """Read which way up the picture is; senseless metadata says nothing."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except DECODER_ERRORS:
        return UPRIGHT
    return orientation if orientation in range(1, 9) else UPRIGHT


def _truncated(picture_format: PictureFormat, content: bytes) -> PictureUnusable:
    return PictureUnusable(
        f"a {picture_format} of {len(content)} bytes is cut short or damaged; send it again",
        reason=PictureFault.TRUNCATED,
    )


def _too_many_pixels(found: str, max_pixels: int) -> PictureUnusable:
    return PictureUnusable(
        f"{found} are more than the {max_pixels} allowed; send a smaller picture",
        reason=PictureFault.TOO_MANY_PIXELS,
    )


def _unsupported(found: str) -> PictureUnusable:
    return PictureUnusable(
        f"{found} is not kept; send one still picture as png, jpeg, webp or avif",
        reason=PictureFault.UNSUPPORTED,
    )
