"""Everything a painter of one picture needs at hand."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.camera import Camera
from emulators.studio.palette import Palette
from emulators.studio.scene import Scene
from emulators.studio.textures import Textures


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One picture's scene, colours, camera, and its source of chance.

    `side` is -1 or 1: on which side of the road the product stands. `product_column` is where.
    """

    scene: Scene
    palette: Palette
    camera: Camera
    textures: Textures
    chance: np.random.Generator
    side: int
    product_column: float

    def between(self, low: float, high: float) -> float:
        """Draw a number by lot."""
        return float(self.chance.uniform(low, high))
