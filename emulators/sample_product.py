"""A product photo to start from: a solar street lamp before a plain, softly lit backdrop."""

import numpy as np
from PIL import Image, ImageFilter

from emulators.studio.finish import encode
from emulators.studio.lamp import draw_lamp
from emulators.studio.pixels import to_image

SIDE = 1024
LAMP_HEIGHT = 900
FOOT_ROW = 976
SHADOW_WIDTH, SHADOW_HEIGHT = 150, 14


def draw_sample_product() -> bytes:
    """Draw the photo.

    Returns:
        A PNG of SIDE by SIDE pixels without alpha, as a camera would give; always the same bytes.
    """
    photo = _backdrop()
    lamp = draw_lamp()
    width = round(lamp.width * LAMP_HEIGHT / lamp.height)
    lamp = lamp.resize((width, LAMP_HEIGHT), Image.Resampling.LANCZOS)
    left, top = (SIDE - width) // 2, FOOT_ROW - LAMP_HEIGHT
    foot_column = left + round(0.34 * width)
    photo.paste((120, 122, 126), mask=_shadow(foot_column))
    photo.paste(lamp, (left, top), lamp)
    return encode(photo, "png")


def _backdrop() -> Image.Image:
    down = np.linspace(0.0, 1.0, SIDE, dtype=np.float32)[:, None]
    across = np.linspace(-1.0, 1.0, SIDE, dtype=np.float32)[None, :]
    level = 0.975 - 0.020 * across**2 - 0.035 * down**3
    return to_image(np.repeat(level[..., None], 3, axis=2))


def _shadow(foot_column: int) -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    left, top = foot_column - SHADOW_WIDTH // 2, FOOT_ROW - SHADOW_HEIGHT // 2
    mask.paste(150, (left, top, left + SHADOW_WIDTH, top + SHADOW_HEIGHT))
    return mask.filter(ImageFilter.GaussianBlur(9))
