"""Pictures as arrays: blend, fade, enlarge. Rows, columns, red-green-blue, 0 to 1, float32."""

import numpy as np
from PIL import Image

from emulators.studio.fields import Field, Pixels
from emulators.studio.palette import Colour

EIGHT_BIT = 255.0
COARSE = 4
COARSE_FROM_PIXELS = 400  # smaller pictures are painted pixel by pixel


def blend(pixels: Pixels, colour: Colour | Pixels, share: Field) -> None:
    """Move pixels towards a colour, in place; share 1 is all of it."""
    aim = np.asarray(colour, dtype=np.float32)
    pixels += (aim - pixels) * share[..., None]


def between_colours(low: Colour, high: Colour, share: Field) -> Pixels:
    """Colour a field: 0 is `low`, 1 is `high`."""
    start = np.asarray(low, dtype=np.float32)
    step = np.asarray(high, dtype=np.float32) - start
    return start + step * share[..., None]


def coarse_step(height: int) -> int:
    """Choose how coarse a grid is fine enough for soft things, in pixels."""
    return COARSE if height >= COARSE_FROM_PIXELS else 1


def enlarge(field: Field, width: int, height: int) -> Field:
    """Stretch a field smoothly to a size."""
    if field.shape == (height, width):
        return field
    image = Image.fromarray(field)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def to_image(pixels: Pixels) -> Image.Image:
    """Round pixels to 8 bits."""
    scaled = pixels * EIGHT_BIT
    scaled += 0.5
    np.clip(scaled, 0.0, EIGHT_BIT, out=scaled)
    return Image.fromarray(scaled.astype(np.uint8))


def to_pixels(image: Image.Image) -> Pixels:
    """Take an 8-bit image as numbers: rows and columns, and channels if it has several."""
    return np.asarray(image, dtype=np.float32) * np.float32(1 / EIGHT_BIT)
