"""Draw a solar street lamp: the product of a picture that was given no photo."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from emulators.studio.fields import Field, Pixels
from emulators.studio.palette import Colour
from emulators.studio.pixels import between_colours, blend

WIDTH, HEIGHT = 560, 1120
OVERSIZE = 2
POLE = 0.34  # shares of the width and of the height, here and below
STEEL_DARK: Colour = (0.20, 0.22, 0.25)
STEEL_LIGHT: Colour = (0.74, 0.76, 0.79)
GRAPHITE_DARK: Colour = (0.11, 0.12, 0.14)
GRAPHITE_LIGHT: Colour = (0.40, 0.42, 0.46)
CELL_DARK: Colour = (0.05, 0.09, 0.22)
CELL_LIGHT: Colour = (0.17, 0.27, 0.50)
LED: Colour = (1.0, 0.94, 0.72)

Corner = tuple[float, float]


def draw_lamp() -> Image.Image:
    """Draw the lamp on nothing: WIDTH by HEIGHT, RGBA, standing on the lower edge."""
    sheet = _Sheet()
    _draw_pole(sheet)
    _draw_arm(sheet)
    _draw_head(sheet)
    _draw_panel(sheet)
    return sheet.image()


class _Sheet:
    """Colour and coverage of what has been drawn so far."""

    def __init__(self) -> None:
        self._pixels: Pixels = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        self._cover: Field = np.zeros((HEIGHT, WIDTH), np.float32)
        self.across: Field = (np.arange(WIDTH, dtype=np.float32)[None, :] + 0.5) / WIDTH
        self.down: Field = (np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5) / HEIGHT

    def fill(self, corners: Sequence[Corner], colours: Colour | Pixels) -> None:
        """Fill a polygon with one colour or with a field of them as large as the sheet."""
        left, right = (edge(x for x, _ in corners) for edge in (min, max))
        top, low = (edge(y for _, y in corners) for edge in (min, max))
        rows = slice(max(0, int(top * HEIGHT) - 1), min(HEIGHT, int(low * HEIGHT) + 2))
        columns = slice(max(0, int(left * WIDTH) - 1), min(WIDTH, int(right * WIDTH) + 2))
        share = _covered(corners, rows, columns)
        cover = self._cover[rows, columns]
        inside = colours if isinstance(colours, tuple) else colours[rows, columns]
        blend(self._pixels[rows, columns], inside, np.where(cover > 0, share, np.sign(share)))
        np.maximum(cover, share, out=cover)

    def image(self) -> Image.Image:
        """Give the drawing away."""
        layers = np.dstack([self._pixels, self._cover])
        return Image.fromarray((np.clip(layers, 0.0, 1.0) * 255 + 0.5).astype(np.uint8))


def _covered(corners: Sequence[Corner], rows: slice, columns: slice) -> Field:
    """Find how much of each pixel of a part of the sheet a polygon covers."""
    width, height = columns.stop - columns.start, rows.stop - rows.start
    mask = Image.new("L", (width * OVERSIZE, height * OVERSIZE))
    points = [
        ((x * WIDTH - columns.start) * OVERSIZE, (y * HEIGHT - rows.start) * OVERSIZE)
        for x, y in corners
    ]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    return np.asarray(mask.reduce(OVERSIZE), dtype=np.float32) / 255.0


def _round(sheet: _Sheet, middle: float, half: Field | float) -> Field:
    """Shade an upright tube: bright left of its middle, dark at both edges."""
    place = (sheet.across - middle) / half
    light = 0.25 + 0.75 * np.exp(-(((place + 0.35) / 0.45) ** 2)) - 0.18 * np.clip(place, 0, 1)
    return np.clip(np.broadcast_to(light, (HEIGHT, WIDTH)), 0.0, 1.0).astype(np.float32)


def _draw_pole(sheet: _Sheet) -> None:
    half = 0.019 + 0.012 * sheet.down
    steel = between_colours(STEEL_DARK, STEEL_LIGHT, _round(sheet, POLE, half))
    corners = [
        (POLE - 0.020, 0.095),
        (POLE + 0.020, 0.095),
        (POLE + 0.031, 0.985),
        (POLE - 0.031, 0.985),
    ]
    sheet.fill(corners, steel)
    for wide, top, low in ((0.043, 0.905, 0.985), (0.085, 0.978, 0.998)):
        steel = between_colours(STEEL_DARK, STEEL_LIGHT, _round(sheet, POLE, wide))
        sheet.fill(_box(POLE - wide, top, POLE + wide, low), steel)
    for collar in (0.215, 0.262, 0.60):
        steel = between_colours(GRAPHITE_DARK, GRAPHITE_LIGHT, _round(sheet, POLE, 0.034))
        sheet.fill(_box(POLE - 0.034, collar, POLE + 0.034, collar + 0.010), steel)


def _draw_arm(sheet: _Sheet) -> None:
    upper: list[Corner] = []
    lower: list[Corner] = []
    for share in np.linspace(0, 1, 24):
        x = POLE + 0.30 * share
        y = 0.238 - 0.112 * (1 - (1 - share) ** 2.2)
        upper.append((float(x), float(y - 0.0075)))
        lower.append((float(x), float(y + 0.0075)))
    arc = 0.238 - 0.112 * (1 - (1 - np.clip((sheet.across - POLE) / 0.30, 0, 1)) ** 2.2)
    light = np.exp(-(((sheet.down - arc + 0.0030) / 0.0045) ** 2))
    tube = between_colours(STEEL_DARK, STEEL_LIGHT, (0.15 + 0.85 * light).astype(np.float32))
    sheet.fill([*upper, *reversed(lower)], tube)


def _draw_head(sheet: _Sheet) -> None:
    slope = 0.130 - 0.020 * (sheet.across - 0.60) / 0.36
    light = np.clip(0.95 - (sheet.down - slope + 0.016) / 0.020, 0.0, 1.0)
    body = between_colours(GRAPHITE_DARK, GRAPHITE_LIGHT, light.astype(np.float32))
    outline = [
        (0.575, 0.124),
        (0.62, 0.110),
        (0.90, 0.094),
        (0.955, 0.101),
        (0.965, 0.113),
        (0.94, 0.121),
        (0.62, 0.139),
        (0.58, 0.136),
    ]
    sheet.fill(outline, body)
    for rib in np.linspace(0.66, 0.88, 6):
        top = 0.110 - 0.016 * (rib - 0.62) / 0.28
        sheet.fill(
            _box(float(rib), float(top - 0.004), float(rib + 0.012), float(top + 0.004)),
            GRAPHITE_LIGHT,
        )
    sheet.fill([(0.635, 0.1375), (0.925, 0.1205), (0.928, 0.1265), (0.640, 0.1435)], LED)


def _draw_panel(sheet: _Sheet) -> None:
    bracket = between_colours(GRAPHITE_DARK, GRAPHITE_LIGHT, _round(sheet, POLE, 0.014))
    sheet.fill(
        [(POLE - 0.014, 0.10), (POLE + 0.014, 0.10), (POLE + 0.026, 0.055), (POLE - 0.03, 0.065)],
        bracket,
    )
    left, right = (0.035, 0.088), (0.615, 0.012)
    frame = [left, right, (right[0] + 0.030, right[1] + 0.030), (left[0] + 0.030, left[1] + 0.034)]
    sheet.fill(frame, (0.70, 0.72, 0.75))
    shine = np.clip(1.1 - np.abs(sheet.across - 0.42 + (sheet.down - 0.05) * 2) * 2.2, 0.0, 1.0)
    cells = between_colours(CELL_DARK, CELL_LIGHT, np.asarray(shine, np.float32))
    inner = [
        _along(frame, u, v) for u, v in ((0.02, 0.12), (0.98, 0.12), (0.98, 0.84), (0.02, 0.84))
    ]
    sheet.fill(inner, cells)
    for seam in np.linspace(0.02, 0.98, 13)[1:-1]:
        line = [
            _along(frame, seam + du, v)
            for du, v in ((0, 0.12), (0.004, 0.12), (0.004, 0.84), (0, 0.84))
        ]
        sheet.fill(line, (0.42, 0.50, 0.66))
    middle = [
        _along(frame, u, v) for u, v in ((0.02, 0.46), (0.98, 0.46), (0.98, 0.50), (0.02, 0.50))
    ]
    sheet.fill(middle, (0.36, 0.44, 0.60))


def _box(left: float, top: float, right: float, low: float) -> list[Corner]:
    return [(left, top), (right, top), (right, low), (left, low)]


def _along(frame: Sequence[Corner], u: float, v: float) -> Corner:
    """Find a point inside a four-cornered frame; u runs along its upper edge, v across."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = frame
    upper = (x0 + (x1 - x0) * u, y0 + (y1 - y0) * u)
    lower = (x3 + (x2 - x3) * u, y3 + (y2 - y3) * u)
    return (upper[0] + (lower[0] - upper[0]) * v, upper[1] + (lower[1] - upper[1]) * v)
