"""Draw shapes that stand in the world: lit, hazed by distance, and smooth at their edges.

Shapes are drawn at twice the size and reduced at the end, which smooths every edge at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from emulators.studio.camera import Camera
from emulators.studio.palette import Colour, Palette, eight_bit

OVERSIZE = 2
LEAST_SHADOW_PIXELS = 3.0
Point = tuple[float, float]
World = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brush:
    """A brush dipped into a palette, over an oversized picture."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    camera: Camera
    palette: Palette

    def at(self, x: float, y: float, z: float) -> Point:
        """Find a world point on the oversized picture."""
        return self.camera.column(x, z) * OVERSIZE, self.camera.row(y, z) * OVERSIZE

    def pixels_of(self, metres: float, z: float) -> float:
        """Measure a length at a distance, in oversized pixels."""
        return self.camera.focal * metres / z * OVERSIZE

    def face(self, corners: Sequence[World], colour: Colour, *, opacity: float = 1.0) -> None:
        """Fill a flat face; its first corner says how far away it is."""
        fill = self._ink(colour, corners[0][2], opacity)
        self.draw.polygon([self.at(*corner) for corner in corners], fill=fill)

    def wall(self, left: World, right: World, colour: Colour, *, opacity: float = 1.0) -> None:
        """Fill an upright rectangle that faces the camera, given by its opposite corners."""
        fill = self._ink(colour, left[2], opacity)
        _fill_box(self.draw, self.at(*left), self.at(*right), fill)

    def ball(self, centre: World, radius: float, colour: Colour, *, squash: float = 1.0) -> None:
        """Fill a disc; squash below 1 flattens it."""
        fill = self._ink(colour, centre[2], 1.0)
        column, row = self.at(*centre)
        across = self.pixels_of(radius, centre[2])
        box = (column - across, row - across * squash, column + across, row + across * squash)
        self.draw.ellipse(box, fill=fill)

    def stroke(self, start: World, end: World, colour: Colour, *, metres: float) -> None:
        """Draw a line of some thickness."""
        width = max(1, round(self.pixels_of(metres, start[2])))
        fill = self._ink(colour, start[2], 1.0)
        self.draw.line([self.at(*start), self.at(*end)], fill=fill, width=width)

    def shine(self, left: World, right: World, colour: Colour) -> None:
        """Fill an upright rectangle with its own light: neither lit nor hazed."""
        _fill_box(self.draw, self.at(*left), self.at(*right), eight_bit(colour))

    def lamp_glow(self, place: World, colour: Colour, radius: float) -> None:
        """Dab a small light with a faint halo."""
        column, row = self.at(*place)
        for share, opacity in ((3.2, 0.10), (1.9, 0.22), (1.0, 1.0)):
            reach = max(1.0, self.pixels_of(radius, place[2])) * share
            box = (column - reach, row - reach, column + reach, row + reach)
            self.draw.ellipse(box, fill=eight_bit(colour, opacity))

    def shadow(self, x: float, z: float, radius: float, *, opacity: float = 0.22) -> None:
        """Darken the ground under a thing."""
        column, row = self.at(x, 0.0, z)
        across = self.pixels_of(radius, z)
        if across < LEAST_SHADOW_PIXELS:
            return
        down = across * min(0.5, self.camera.view.eye_metres / z * 0.9)
        rings = max(1, min(8, int(across / 6)))
        ink = eight_bit((0.05, 0.06, 0.10), opacity * 1.6 / rings)
        for ring in range(rings):
            wide, high = across * (ring + 1) / rings, down * (ring + 1) / rings
            self.draw.ellipse((column - wide, row - high, column + wide, row + high), fill=ink)

    def _ink(self, colour: Colour, metres: float, opacity: float) -> tuple[int, int, int, int]:
        return eight_bit(self.palette.at_distance(colour, metres), opacity)


def _fill_box(
    draw: ImageDraw.ImageDraw, one: Point, other: Point, fill: tuple[int, int, int, int]
) -> None:
    left, right = sorted((one[0], other[0]))
    top, bottom = sorted((one[1], other[1]))
    draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=fill)
