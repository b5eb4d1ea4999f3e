"""Where the camera stands and how the world falls onto the picture.

World: x to the right, y up from the ground, z away from the camera, in metres. The lens is
shifted, not tilted, so verticals stay vertical and walls that face us stay rectangles.
"""

from dataclasses import dataclass

import numpy as np

from emulators.studio.fields import Field
from emulators.studio.scene import Angle


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One viewpoint, as shares of the picture's height."""

    horizon: float
    eye_metres: float
    focal: float
    product_height: float
    product_foot: float  # may lie below the picture


VIEWS = {
    Angle.GROUND: View(
        horizon=0.70, eye_metres=1.7, focal=0.95, product_height=0.80, product_foot=0.935
    ),
    Angle.ELEVATED: View(
        horizon=0.44, eye_metres=10.0, focal=1.0, product_height=0.66, product_foot=0.90
    ),
    Angle.AERIAL: View(
        horizon=0.17, eye_metres=42.0, focal=0.95, product_height=0.46, product_foot=0.84
    ),
    Angle.CLOSEUP: View(
        horizon=0.66, eye_metres=3.4, focal=1.7, product_height=1.20, product_foot=1.30
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A viewpoint in the pixels of one picture."""

    width: int
    height: int
    view: View
    centre: float  # pixel column that the road runs towards
    horizon: int  # the first pixel row of the ground
    focal: float  # focal length in pixels

    def column(self, x: float, z: float) -> float:
        """Project sideways."""
        return self.centre + self.focal * x / z

    def row(self, y: float, z: float) -> float:
        """Project upwards."""
        return self.horizon + self.focal * (self.view.eye_metres - y) / z

    def depth_of_row(self, row: float) -> float:
        """Find how far away the ground of a row below the horizon is."""
        return self.focal * self.view.eye_metres / max(row - self.horizon, 0.5)

    def ground(self) -> tuple[Field, Field]:
        """Find where each pixel below the horizon touches the ground.

        Returns:
            x with one value per ground pixel, z with one per ground row, in metres.
        """
        rows = np.arange(self.horizon, self.height, dtype=np.float32) + 0.5
        z = self.focal * self.view.eye_metres / (rows - self.horizon)
        columns = np.arange(self.width, dtype=np.float32) + 0.5 - self.centre
        x = columns[None, :] * (z[:, None] / self.focal)
        return x.astype(np.float32), z[:, None].astype(np.float32)


def set_up_camera(angle: Angle, width: int, height: int, centre: float) -> Camera:
    """Set a camera up for a picture of this size.

    Args:
        angle: the viewpoint.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        centre: pixel column that the road runs towards.
    """
    view = VIEWS[angle]
    return Camera(
        width=width,
        height=height,
        view=view,
        centre=centre,
        horizon=round(height * view.horizon),
        focal=height * view.focal,
    )
