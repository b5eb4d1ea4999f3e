"""Buildings: boxes with windows, houses with roofs, halls with chimneys."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.brush import Brush
from emulators.studio.palette import SNOW, Colour, mix, scaled
from emulators.studio.scene import Scene

WINDOW_MIN_PIXELS = 3.0  # smaller windows are not drawn one by one
FLOOR_METRES = 3.4
BAY_METRES = 2.6
FRAMED_FROM_PIXELS = 16.0
SHOP_METRES = 3.6
DARK_GLASS: Colour = (0.20, 0.26, 0.33)
LIT_SHARE = 0.42
AT_HOME = 0.75  # share of a house's windows that are lit
LATE_SHIFT = 0.6  # the same of a factory
SHOPS_OPEN = 0.7
AWNINGS: tuple[Colour, ...] = (
    (0.62, 0.24, 0.20),
    (0.20, 0.36, 0.38),
    (0.78, 0.70, 0.55),
    (0.26, 0.30, 0.42),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A box on the ground: its left front corner, its size and its colour."""

    x: float
    z: float
    width: float
    depth: float
    height: float
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds with one brush, for one scene."""

    brush: Brush
    scene: Scene
    chance: np.random.Generator

    def tower(self, block: Block) -> None:
        """Build a block of flats or offices."""
        self.shell(block)
        self._windows(block)
        self._trims(block)
        if self.scene.is_white:
            self._snow_edge(block)

    def shell(self, block: Block) -> None:
        """Build bare walls: the front, the side that can be seen, and the roof from above."""
        x, z, far = block.x, block.z, block.z + block.depth
        right, top = x + block.width, block.height
        inner = right if right < 0 else x if x > 0 else None
        if self.brush.camera.view.eye_metres > top:
            roof = mix(scaled(block.colour, 0.9), SNOW, 0.85 if self.scene.is_white else 0.0)
            corners = [(x, top, z), (right, top, z), (right, top, far), (x, top, far)]
            self.brush.face(corners, roof)
        if inner is not None:
            side = [(inner, 0.0, z), (inner, top, z), (inner, top, far), (inner, 0.0, far)]
            self.brush.face(side, scaled(block.colour, 0.72))
        self.brush.wall((x, 0.0, z), (right, top, z), block.colour)

    def _windows(self, block: Block) -> None:
        pane = self.brush.pixels_of(BAY_METRES * 0.5, block.z)
        if pane < WINDOW_MIN_PIXELS:
            return
        floors = int(block.height / FLOOR_METRES)
        bays = max(1, int(block.width / BAY_METRES))
        step = block.width / bays
        lit = self.chance.random((floors, bays)) < (LIT_SHARE if self.scene.lamps_are_lit else 0.0)
        tone = self.chance.uniform(0.75, 1.15, (floors, bays))
        glass = mix(DARK_GLASS, self.brush.palette.middle, 0.45)
        for floor in range(floors):
            low = floor * FLOOR_METRES + 1.0
            if floor == 0 and self.brush.pixels_of(1.0, block.z) >= WINDOW_MIN_PIXELS:
                continue  # shops
            for bay in range(bays):
                left = block.x + (bay + 0.22) * step
                corners = (left, low, block.z), (left + 0.56 * step, low + 1.8, block.z)
                self._pane(
                    corners, glass, tone=float(tone[floor, bay]), is_lit=bool(lit[floor, bay])
                )

    def _pane(
        self,
        corners: tuple[tuple[float, float, float], tuple[float, float, float]],
        glass: Colour,
        *,
        tone: float,
        is_lit: bool,
    ) -> None:
        if is_lit:
            palette = self.brush.palette
            hazed = mix(palette.window, palette.haze, min(0.7, corners[0][2] / 420.0))
            self.brush.shine(*corners, scaled(hazed, 0.55 + 0.38 * tone))
        else:
            self.brush.wall(*corners, scaled(glass, tone))
        if self.brush.pixels_of(corners[1][0] - corners[0][0], corners[0][2]) > FRAMED_FROM_PIXELS:
            self._frame(corners)

    def _frame(
        self, corners: tuple[tuple[float, float, float], tuple[float, float, float]]
    ) -> None:
        (left, low, z), (right, high, _) = corners
        middle, bar = (left + right) / 2, 0.06
        self.brush.wall((middle - bar, low, z), (middle + bar, high, z), (0.86, 0.86, 0.86))
        self.brush.wall((left - 0.1, low - 0.14, z), (right + 0.1, low, z), (0.80, 0.79, 0.77))

    def _trims(self, block: Block) -> None:
        """Add a cornice, a shop floor at street level, and boxes on a roof seen from above."""
        x, z, right, top = block.x, block.z, block.x + block.width, block.height
        if self.brush.pixels_of(1.0, z) < WINDOW_MIN_PIXELS:
            return
        self.brush.wall((x - 0.2, top - 0.7, z), (right + 0.2, top, z), scaled(block.colour, 1.10))
        self.brush.wall(
            (x, SHOP_METRES, z), (right, SHOP_METRES + 0.4, z), scaled(block.colour, 0.82)
        )
        self._shops(block)
        if self.brush.camera.view.eye_metres > top + 1:
            for share in (0.2, 0.62):
                left = x + share * block.width
                deep = z + block.depth * share
                crate = (left, top, deep), (left + 2.6, top + 1.6, deep)
                self.brush.wall(*crate, scaled(block.colour, 0.80))

    def _shops(self, block: Block) -> None:
        count = max(1, int(block.width / 4.2))
        step = block.width / count
        glass = mix(DARK_GLASS, self.brush.palette.middle, 0.30)
        for shop in range(count):
            left = block.x + (shop + 0.1) * step
            corners = (left, 0.5, block.z), (left + 0.8 * step, SHOP_METRES - 0.9, block.z)
            is_lit = self.scene.lamps_are_lit and bool(self.chance.random() < SHOPS_OPEN)
            self._pane(corners, glass, tone=1.0, is_lit=is_lit)
            awning = (
                (left - 0.15, SHOP_METRES - 0.95, block.z),
                (left + 0.8 * step + 0.15, SHOP_METRES - 0.45, block.z),
            )
            self.brush.wall(*awning, AWNINGS[int(self.chance.integers(len(AWNINGS)))])

    def _snow_edge(self, block: Block) -> None:
        top, z = block.height, block.z
        self.brush.wall((block.x, top, z), (block.x + block.width, top + 0.5, z), SNOW)

    def house(self, block: Block, roof: Colour) -> None:
        """Build a house whose gable faces the street."""
        self.brush.shadow(block.x + block.width / 2, block.z, block.width * 0.62, opacity=0.16)
        self.shell(block)
        self._gable(block, mix(roof, SNOW, 0.88) if self.scene.is_white else roof)
        if self.brush.pixels_of(1.0, block.z) >= WINDOW_MIN_PIXELS:
            self._front(block)
            self._eaves(block, roof)

    def _gable(self, block: Block, roof: Colour) -> None:
        x, z, far, top = block.x, block.z, block.z + block.depth, block.height
        middle, right = x + block.width / 2, x + block.width
        ridge, eave = top + block.width * 0.42, 0.35
        self.brush.face([(x, top, z), (middle, ridge, z), (right, top, z)], block.colour)
        slopes = [(x - eave, 0.85), (right + eave, 1.0)]
        if middle > 0:
            slopes.reverse()
        for edge, tone in slopes:
            corners = [
                (edge, top - 0.3, z),
                (middle, ridge, z),
                (middle, ridge, far),
                (edge, top - 0.3, far),
            ]
            self.brush.face(corners, scaled(roof, tone))

    def _eaves(self, block: Block, roof: Colour) -> None:
        x, z, top = block.x, block.z, block.height
        middle, right, eave = x + block.width / 2, x + block.width, 0.35
        ridge = top + block.width * 0.42
        for edge in (x - eave, right + eave):
            self.brush.stroke(
                (edge, top - 0.3, z), (middle, ridge, z), scaled(roof, 0.7), metres=0.28
            )
        chimney = middle + block.width * 0.2
        self.brush.wall(
            (chimney, top + 0.6, z + 1), (chimney + 0.7, ridge + 0.7, z + 1), (0.50, 0.36, 0.31)
        )

    def _front(self, block: Block) -> None:
        z, width = block.z, block.width
        lit = self.scene.lamps_are_lit
        glass = mix(DARK_GLASS, self.brush.palette.middle, 0.4)
        for share in (0.14, 0.66):
            for low in (1.0, 3.7):
                if low + 1.5 > block.height:
                    continue
                left = block.x + share * width
                frame = (left - 0.12, low - 0.12, z), (left + 0.2 * width + 0.12, low + 1.5, z)
                self.brush.wall(*frame, (0.95, 0.94, 0.92))
                pane = (left, low, z), (left + 0.2 * width, low + 1.38, z)
                is_lit = lit and self.chance.random() < AT_HOME
                self._pane(pane, glass, tone=1.0, is_lit=is_lit)
        door = block.x + 0.43 * width
        self.brush.wall((door, 0.0, z), (door + 0.14 * width, 2.2, z), (0.42, 0.27, 0.20))

    def hall(self, block: Block) -> None:
        """Build a factory hall: a saw-tooth roof over ribbed walls and a band of windows."""
        self.shell(block)
        teeth = max(2, round(block.width / 7))
        step, top, z = block.width / teeth, block.height, block.z
        for tooth in range(teeth):
            left = block.x + tooth * step
            corners = [(left, top, z), (left, top + 2.6, z), (left + step, top, z)]
            self.brush.face(corners, scaled(block.colour, 0.92))
        glass = mix(DARK_GLASS, self.brush.palette.middle, 0.5)
        lit = self.scene.lamps_are_lit
        for bay in range(teeth * 2):
            left = block.x + (bay + 0.15) * step / 2
            corners = (left, top * 0.55, z), (left + 0.35 * step, top * 0.80, z)
            self._pane(
                corners, glass, tone=1.0, is_lit=lit and bool(self.chance.random() < LATE_SHIFT)
            )
        gate = block.x + step * 0.3
        self.brush.wall((gate, 0.0, z), (gate + 3.6, top * 0.42, z), scaled(block.colour, 0.55))

    def chimney(self, x: float, z: float, height: float) -> None:
        """Build a chimney with warning bands."""
        foot, crown = 1.7, 1.0
        corners = [
            (x - foot, 0.0, z),
            (x - crown, height, z),
            (x + crown, height, z),
            (x + foot, 0.0, z),
        ]
        self.brush.face(corners, (0.72, 0.68, 0.65))
        lee = [(x + 0.2, 0.0, z), (x + 0.1, height, z), (x + crown, height, z), (x + foot, 0.0, z)]
        self.brush.face(lee, (0.55, 0.52, 0.51))
        for band in (0.94, 0.80):
            low, high = height * (band - 0.05), height * band
            self.brush.wall(
                (x - crown * 1.08, low, z), (x + crown * 1.08, high, z), (0.76, 0.28, 0.22)
            )

    def smoke(self, x: float, z: float, height: float, drift: float) -> None:
        """Let smoke rise from a chimney."""
        colour = mix(self.brush.palette.cloud, self.brush.palette.haze, 0.4)
        for puff in range(16):
            share = puff / 16
            centre_x = x + drift * (share**1.4) * 34 + float(self.chance.uniform(-1, 1))
            centre_y = height + share * 22 + float(self.chance.uniform(-0.8, 0.8))
            radius = self.brush.pixels_of(1.2 + share * 6.5, z)
            column, row = self.brush.at(centre_x, centre_y, z)
            box = (column - radius, row - radius * 0.8, column + radius, row + radius * 0.8)
            red, green, blue = (round(255 * min(part, 1.0)) for part in colour)
            self.brush.draw.ellipse(box, fill=(red, green, blue, round(120 * (1 - share) ** 1.2)))

    def tank(self, x: float, z: float, radius: float, height: float) -> None:
        """Build a round storage tank."""
        steps = 10
        for step in range(steps):
            left, right = (-radius + 2 * radius * part / steps for part in (step, step + 1))
            shade = 0.62 + 0.42 * np.sin(np.pi * (step + 0.5) / steps)
            self.brush.wall(
                (x + left, 0.0, z), (x + right, height, z), scaled((0.80, 0.81, 0.82), float(shade))
            )
        self.brush.ball((x, height, z), radius, (0.86, 0.87, 0.88), squash=0.16)
