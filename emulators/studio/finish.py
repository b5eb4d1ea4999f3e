"""The last touches: bright things bloom, corners darken, and the picture is encoded."""

import io
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from emulators.studio.fields import Pixels
from emulators.studio.pixels import coarse_step, to_image, to_pixels

BLOOM_FROM = 0.80
BLOOM_STRENGTH = 0.45
VIGNETTE = 0.16
JPEG_QUALITY = 90
PNG_LEVEL = 3  # a compromise: level 6 takes twice as long for a twentieth less


def bloom(pixels: Pixels) -> None:
    """Let what is very bright spill a little light around it."""
    height, width = pixels.shape[:2]
    coarse = coarse_step(height)
    small = pixels[::coarse, ::coarse]
    bright = to_image(np.clip(small - BLOOM_FROM, 0.0, 1.0) * 2.0)
    soft = bright.filter(ImageFilter.GaussianBlur(height / coarse / 48))
    full = soft.resize((width, height), Image.Resampling.BILINEAR)
    pixels += to_pixels(full) * np.float32(BLOOM_STRENGTH)


def vignette(pixels: Pixels) -> None:
    """Darken the corners a little and lift the contrast."""
    height, width = pixels.shape[:2]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] ** 2
    pixels *= (1.0 - VIGNETTE * ((down + across) * 0.5) ** 1.5)[..., None]


def encode(picture: Image.Image, kind: Literal["jpg", "png"]) -> bytes:
    """Encode a finished picture."""
    encoded = io.BytesIO()
    if kind == "png":
        picture.save(encoded, "PNG", compress_level=PNG_LEVEL)
    else:
        picture.save(encoded, "JPEG", quality=JPEG_QUALITY)
    return encoded.getvalue()
