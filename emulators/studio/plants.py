"""Trees: round ones by season, pines, bare winter crowns, palms."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.brush import Brush
from emulators.studio.palette import SNOW, Colour, mix, scaled
from emulators.studio.scene import Scene, Season

BARK: Colour = (0.34, 0.26, 0.20)
PINE: Colour = (0.16, 0.30, 0.22)
PALM: Colour = (0.26, 0.44, 0.20)
BLOSSOM: Colour = (0.96, 0.76, 0.82)
BLOSSOM_SHARE = 0.3  # of the trees in spring
SNOW_FROM = 0.6  # snow lies on the leaf clusters above this share of a crown
LEAVES = 110  # clusters of a near tree
NEAR_PIXELS = 110.0  # taller trees get every leaf cluster
FAR_PIXELS = 24.0  # smaller ones are a dab


@dataclass(frozen=True, slots=True, kw_only=True)
class Gardener:
    """Plants with one brush, for one scene; `light_from` is -1 or 1: where the sun is."""

    brush: Brush
    scene: Scene
    chance: np.random.Generator
    light_from: float

    def tree(self, x: float, z: float, height: float) -> None:
        """Plant whatever the season has made of a tree."""
        self.brush.shadow(x, z, height * 0.36, opacity=0.14)
        if self.scene.season is Season.WINTER:
            self._bare(x, z, height)
            return
        trunk = height * 0.05
        self.brush.wall((x - trunk / 2, 0.0, z), (x + trunk / 2, height * 0.5, z), BARK)
        self._crown(x, z, height, self._leaf())

    def _detail(self, height: float, z: float, *, near: int, middle: int, far: int) -> int:
        """Choose how many parts a plant is worth at its distance."""
        pixels = self.brush.pixels_of(height, z)
        return near if pixels > NEAR_PIXELS else middle if pixels > FAR_PIXELS else far

    def _leaf(self) -> Colour:
        leaf = self.brush.palette.leaf
        varied = scaled(leaf, float(self.chance.uniform(0.88, 1.12)))
        if self.scene.season is Season.SPRING and self.chance.random() < BLOSSOM_SHARE:
            return BLOSSOM
        if self.scene.season is Season.AUTUMN:
            return mix(varied, (0.72, 0.26, 0.13), float(self.chance.uniform(0, 0.6)))
        return varied

    def _crown(self, x: float, z: float, height: float, leaf: Colour) -> None:
        count = self._detail(height, z, near=LEAVES, middle=16, far=0)
        if not count:
            self.brush.ball((x, height * 0.64, z), height * 0.30, scaled(leaf, 0.8))
            self.brush.ball((x, height * 0.72, z), height * 0.22, leaf)
            return
        radius = height * 0.30
        angles = self.chance.uniform(0, 2 * np.pi, count)
        reach = np.sqrt(self.chance.uniform(0, 1, count)) * (0.82 + 0.18 * np.sin(angles * 5))
        spots = np.stack([np.cos(angles) * reach, np.sin(angles) * reach * 0.92], axis=1)
        dab = 0.17 if count == LEAVES else 0.38
        order = np.argsort(spots[:, 1] + 0.4 * self.light_from * spots[:, 0])
        for place, spot in enumerate(order):
            share = place / max(count - 1, 1)
            across, up = spots[spot]
            centre = (x + across * radius, height * 0.66 + up * radius, z)
            size = radius * float(self.chance.uniform(0.7, 1.1)) * dab
            colour = scaled(leaf, 0.56 + 0.56 * share + float(self.chance.uniform(-0.07, 0.07)))
            if self.scene.is_white and share > SNOW_FROM:
                colour = mix(colour, SNOW, 0.7)
            self.brush.ball(centre, size, colour, squash=0.88)

    def _bare(self, x: float, z: float, height: float) -> None:
        levels = self._detail(height, z, near=7, middle=3, far=2)
        colour = mix(BARK, SNOW, 0.30 if self.scene.is_white else 0.05)
        self._branch((x, 0.0), (np.pi / 2, height * 0.34), z, levels, colour)

    def _branch(
        self,
        start: tuple[float, float],
        way: tuple[float, float],
        z: float,
        levels: int,
        colour: Colour,
    ) -> None:
        angle, length = way
        end = (start[0] + np.cos(angle) * length, start[1] + np.sin(angle) * length)
        self.brush.stroke((*start, z), (*end, z), colour, metres=length * 0.070)
        if levels <= 1:
            return
        for turn in (-1, 1):
            lean = angle + turn * float(self.chance.uniform(0.22, 0.62))
            self._branch(
                end, (lean, length * float(self.chance.uniform(0.62, 0.82))), z, levels - 1, colour
            )

    def pine(self, x: float, z: float, height: float) -> None:
        """Plant a pine: tiers of boughs, darker below each edge."""
        self.brush.shadow(x, z, height * 0.22, opacity=0.14)
        self.brush.wall((x - height * 0.02, 0.0, z), (x + height * 0.02, height * 0.2, z), BARK)
        tiers = self._detail(height, z, near=7, middle=4, far=2)
        green = scaled(PINE, float(self.chance.uniform(0.9, 1.25)))
        for tier in range(tiers):
            share = tier / tiers
            low = height * (0.10 + 0.80 * share)
            reach = height * 0.23 * (1 - share) ** 0.85 + height * 0.015
            top = min(height, low + height * 0.30)
            boughs = [
                (x - reach, low, z),
                (x, top, z),
                (x + reach, low, z),
                (x, low + reach * 0.22, z),
            ]
            self.brush.face(boughs, scaled(green, 0.75 + 0.35 * share))
            lit = [(x, top, z), (x + self.light_from * reach, low, z), (x, low + reach * 0.22, z)]
            tone = (
                mix(green, SNOW, 0.75) if self.scene.is_white else scaled(green, 1.0 + 0.4 * share)
            )
            self.brush.face(lit, tone)

    def palm(self, x: float, z: float, height: float) -> None:
        """Plant a palm that leans a little."""
        self.brush.shadow(x, z, height * 0.26, opacity=0.14)
        lean = float(self.chance.uniform(-0.12, 0.12)) * height
        pieces = self._detail(height, z, near=8, middle=4, far=1)
        fronds = self._detail(height, z, near=11, middle=9, far=5)
        for piece in range(pieces):
            low, high = (step / pieces for step in (piece, piece + 1))
            start = (x + lean * low**2, height * low, z)
            end = (x + lean * high**2, height * high, z)
            self.brush.stroke(
                start,
                end,
                scaled((0.52, 0.42, 0.32), 0.85 + 0.3 * (piece % 2)),
                metres=0.34 - 0.12 * low,
            )
        crown = (x + lean, height)
        for leaf, angle in enumerate(np.linspace(-0.35, np.pi + 0.35, fronds)):
            self._frond(crown, z, height * 0.36, float(angle), 0.75 + 0.5 * (leaf % 2))

    def _frond(
        self, crown: tuple[float, float], z: float, length: float, angle: float, tone: float
    ) -> None:
        upper: list[tuple[float, float, float]] = []
        lower: list[tuple[float, float, float]] = []
        for share in np.linspace(0, 1, 6):
            out_x = crown[0] + np.cos(angle) * length * share
            out_y = crown[1] + np.sin(angle) * length * share * 0.7 - length * 0.75 * share**2.2
            half = length * 0.070 * np.sin(np.pi * min(share + 0.08, 1.0))
            upper.append((float(out_x), float(out_y + half), z))
            lower.append((float(out_x), float(out_y - half), z))
        self.brush.face([*upper, *reversed(lower)], scaled(PALM, tone))

    def hedge(self, left: float, right: float, z: float, height: float) -> None:
        """Plant a low hedge along a front."""
        leaf = mix(scaled(self.brush.palette.leaf, 0.8), PINE, 0.35)
        self.brush.wall((left, 0.0, z), (right, height, z), scaled(leaf, 0.75))
        for x in np.arange(left, right, height * 0.7):
            self.brush.ball((float(x), height, z), height * 0.42, scaled(leaf, 0.95), squash=0.7)
