"""Small pictures for lists and grids."""

from io import BytesIO

from PIL import Image

from darkroom.pictures.cleaning import stand_up
from darkroom.pictures.reading import Picture, read_picture

EDGE_PIXELS = 320  # sharp in a 160 pixel tile of a dense screen
QUALITY = 80
COLOUR_MODES = {"RGB", "RGBA"}


def thumbnail(content: bytes, *, edge_pixels: int = EDGE_PIXELS) -> bytes:
    """Make a WebP whose longer edge has at most `edge_pixels`; nothing is enlarged.

    Raises:
        PictureUnusable: the bytes are not a picture we keep.
    """
    return encode_thumbnail(read_picture(content), edge_pixels=edge_pixels)


def encode_thumbnail(picture: Picture, *, edge_pixels: int = EDGE_PIXELS) -> bytes:
    """Make the thumbnail of a picture that is read already."""
    small = shrink(picture, edge_pixels=edge_pixels)
    # A profile describes the colours of its own mode; after a conversion it would lie.
    is_converted = picture.image.mode not in COLOUR_MODES
    profile = None if is_converted else picture.image.info.get("icc_profile")
    written = BytesIO()
    small.save(written, "WEBP", quality=QUALITY, icc_profile=profile)
    return written.getvalue()


def shrink(picture: Picture, *, edge_pixels: int) -> Image.Image:
    """Make a small upright image in RGB, or RGBA where something is transparent."""
    image = picture.image
    if image.mode not in COLOUR_MODES:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    scale = min(1.0, edge_pixels / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return stand_up(small, picture.orientation)
