"""The same picture without EXIF, XMP, IPTC and comments, stored the right way up.

Pixels are not touched where the file can be cut apart instead. Only a picture that must be
turned, and an AVIF that carries metadata, is encoded again.
"""

from io import BytesIO
from typing import assert_never

from PIL import Image

from darkroom.pictures.containers import (
    jpeg_without_metadata,
    png_without_metadata,
    webp_chunks,
    webp_without_metadata,
)
from darkroom.pictures.reading import UPRIGHT, Picture, PictureFormat, read_picture

# Above it, files grow and nobody sees why.
QUALITY = 95

# Orientation says how a stored picture lies; this is the turn that makes it stand.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def without_metadata(content: bytes) -> bytes:
    """Remove everything but pixels, colour profile and how they are shown.

    Raises:
        PictureUnusable: the bytes are not a picture we keep.
    """
    return clean(content, read_picture(content))


def clean(content: bytes, picture: Picture) -> bytes:
    """Remove metadata from a picture that was read from `content`."""
    if picture.orientation != UPRIGHT:
        return _encode(content, picture)
    match picture.format:
        case PictureFormat.PNG:
            return png_without_metadata(content)
        case PictureFormat.JPEG:
            return jpeg_without_metadata(content)
        case PictureFormat.WEBP:
            return webp_without_metadata(content)
        case PictureFormat.AVIF:
            # Metadata sits in items that others point into; encoding again is the safe cut.
            carries_any = picture.image.info.keys() & {"exif", "xmp"}
            return _encode(content, picture) if carries_any else content
        case _:
            assert_never(picture.format)


def stand_up(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image as its orientation asks."""
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _encode(content: bytes, picture: Picture) -> bytes:
    """Write the picture again in its own format, turned, with its colour profile only."""
    image = stand_up(picture.image, picture.orientation)
    profile = picture.image.info.get("icc_profile")
    written = BytesIO()
    match picture.format:
        case PictureFormat.PNG:
            image.save(written, "PNG", icc_profile=profile)
        case PictureFormat.JPEG:
            # Pillow would copy the comment from the picture it came from.
            image.save(written, "JPEG", quality=QUALITY, icc_profile=profile, comment=None)
        case PictureFormat.WEBP:
            lossless = any(name == b"VP8L" for name, _ in webp_chunks(content))
            image.save(written, "WEBP", quality=QUALITY, lossless=lossless, icc_profile=profile)
        case PictureFormat.AVIF:
            image.save(written, "AVIF", quality=QUALITY, icc_profile=profile)
        case _:
            assert_never(picture.format)
    return written.getvalue()
