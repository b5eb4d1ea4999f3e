"""How large a picture is: the area of a square of its resolution, in the ratio asked for."""

import math

FINE_FROM_PIXELS = 256  # sides are multiples of 8 pixels from here on, below of 2
SIDES = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}  # in sides of a square 1K picture


def picture_size(resolution: str, ratio: str | None, pixels: int) -> tuple[int, int]:
    """Give width and height.

    Args:
        resolution: a key of SIDES.
        ratio: like 16:9; None is a square.
        pixels: side of a square 1K picture.
    """
    side = pixels * SIDES[resolution]
    step = 8 if side >= FINE_FROM_PIXELS else 2
    across, down = map(int, ratio.split(":")) if ratio else (1, 1)
    stretch = math.sqrt(across / down)
    return _rounded(side * stretch, step), _rounded(side / stretch, step)


def _rounded(length: float, step: int) -> int:
    return max(step, round(length / step) * step)
