"""Paint the sky: its gradient, the sun or moon, stars and clouds."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.fields import Field, Pixels
from emulators.studio.palette import mix
from emulators.studio.pixels import between_colours, blend, coarse_step, enlarge
from emulators.studio.scene import Hour, Weather
from emulators.studio.setting import Setting
from emulators.studio.textures import sample, smoothstep

MIDDLE_AT = 0.60  # where between zenith and horizon the middle colour lies
# coverage of the sky by clouds, and how soft their edges are
CLOUDS = {
    Weather.SUNNY: (0.40, 0.26),
    Weather.CLOUDY: (0.86, 0.50),
    Weather.RAINY: (0.96, 0.60),
    Weather.SNOWY: (0.92, 0.70),
    Weather.FOGGY: (0.50, 0.80),
}
DISC_SIZES = {Hour.DAWN: 0.028, Hour.NOON: 0.020, Hour.DUSK: 0.034, Hour.NIGHT: 0.026}
LARGE_STAR = 0.45  # brighter stars spread over a second pixel
SUN_HEIGHTS = {Hour.DAWN: 0.16, Hour.NOON: 0.86, Hour.DUSK: 0.10, Hour.NIGHT: 0.68}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """Where the sun or moon is, in pixels, and how wide its disc."""

    column: float
    row: float
    radius: float


def place_sun(setting: Setting) -> Sun:
    """Put the sun on the side where the product is not."""
    camera = setting.camera
    away = setting.between(0.16, 0.34)
    column = camera.width * (away if setting.side > 0 else 1 - away)
    height = SUN_HEIGHTS[setting.scene.hour] + setting.between(-0.03, 0.05)
    return Sun(
        column=column,
        row=camera.horizon * (1 - height),
        radius=camera.height * DISC_SIZES[setting.scene.hour],
    )


def paint_sky(setting: Setting, sun: Sun) -> Pixels:
    """Paint a whole picture of sky; below the horizon it stays haze."""
    camera = setting.camera
    pixels = np.empty((camera.height, camera.width, 3), dtype=np.float32)
    pixels[camera.horizon :] = setting.palette.haze
    above = pixels[: camera.horizon]
    above[:] = _gradient(setting)
    if setting.scene.hour is Hour.NIGHT and setting.scene.weather is Weather.SUNNY:
        _sprinkle_stars(setting, above)
    _shine(setting, sun, above)
    _drift_clouds(setting, sun, above)
    return pixels


def _gradient(setting: Setting) -> Pixels:
    palette, rows = setting.palette, setting.camera.horizon
    heights = np.linspace(0.0, 1.0, rows)
    stops = np.array([palette.zenith, palette.middle, palette.horizon])
    channels = [np.interp(heights, (0.0, MIDDLE_AT, 1.0), stops[:, part]) for part in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)[:, None, :]


def _sprinkle_stars(setting: Setting, above: Pixels) -> None:
    rows, columns = above.shape[:2]
    count = 60 + rows // 4
    where = setting.chance.random((count, 2))
    down = (where[:, 0] ** 1.4 * rows * 0.92).astype(int)
    across = (where[:, 1] * (columns - 1)).astype(int)
    brightness = np.asarray(setting.chance.random(count), np.float32) ** 3 * 0.8 + 0.08
    above[down, across] += brightness[:, None]
    bright = brightness > LARGE_STAR
    above[down[bright], across[bright] + 1] += brightness[bright, None] * 0.6


def _shine(setting: Setting, sun: Sun, above: Pixels) -> None:
    rows, columns = above.shape[:2]
    step = coarse_step(setting.camera.height)
    down = np.arange(0, rows, step, dtype=np.float32)[:, None] - sun.row
    across = np.arange(0, columns, step, dtype=np.float32)[None, :] - sun.column
    away = np.sqrt(across**2 + (down * 1.25) ** 2) / setting.camera.height
    halo = 0.55 * np.exp(-((away / 0.42) ** 1.3)) + 0.45 * np.exp(-((away / 0.13) ** 1.2))
    strength = np.clip(halo * setting.palette.glow, 0.0, 0.92).astype(np.float32)
    blend(above, setting.palette.sun, enlarge(strength, columns, rows))
    if setting.scene.weather is Weather.SUNNY:
        _hang_disc(setting, sun, above)


def _hang_disc(setting: Setting, sun: Sun, above: Pixels) -> None:
    reach = int(sun.radius + 2)
    top, left = max(0, int(sun.row) - reach), max(0, int(sun.column) - reach)
    patch = above[top : int(sun.row) + reach, left : int(sun.column) + reach]
    down = np.arange(patch.shape[0], dtype=np.float32)[:, None] + top - sun.row
    across = np.arange(patch.shape[1], dtype=np.float32)[None, :] + left - sun.column
    disc = smoothstep(sun.radius + 0.8, sun.radius - 0.8, np.hypot(across, down))
    bright = mix(setting.palette.sun, (1.0, 1.0, 1.0), 0.55)
    if setting.scene.hour is Hour.NIGHT:
        seas = sample(
            setting.textures.billow, (across + 90) * 3 / sun.radius, (down + 40) * 3 / sun.radius
        )
        disc = disc * (0.72 + 0.28 * seas)
    blend(patch, bright, disc)


def _drift_clouds(setting: Setting, sun: Sun, above: Pixels) -> None:
    """Project a plane of clouds: far ones are small, flat and close to the horizon."""
    rows, columns = above.shape[:2]
    height = setting.camera.height
    step = max(1, coarse_step(height) // 2)
    lift = (rows - np.arange(0, rows, step, dtype=np.float32)[:, None]) / height + 0.07
    across = (np.arange(0, columns, step, dtype=np.float32)[None, :] - columns / 2) / height
    right, far = 46 * across / lift, 46 / lift
    offset = setting.chance.uniform(0, 512, 2)
    density = _density(setting, right + offset[0], far + offset[1])
    toward = 5.0 if sun.column > columns / 2 else -5.0
    behind = _density(setting, right + offset[0] + toward, far + offset[1] + 4.0)
    coverage, softness = CLOUDS[setting.scene.weather]
    edge = 0.80 - 0.55 * coverage
    opacity = smoothstep(edge, edge + softness, density) * smoothstep(0.06, 0.22, lift)
    lightness = np.clip(0.62 + (density - behind) * 2.6 - (density - edge) * 0.45, 0.0, 1.0)
    palette = setting.palette
    colour = between_colours(palette.cloud_shade, palette.cloud, enlarge(lightness, columns, rows))
    blend(above, colour, np.clip(enlarge(opacity, columns, rows) * 0.94, 0.0, 1.0))


def _density(setting: Setting, right: Field, far: Field) -> Field:
    billow = setting.textures.billow
    large = sample(billow, right, far)
    small = sample(billow, right * 3.1 + 100, far * 3.1 + 37)
    return (0.72 * large + 0.28 * small).astype(np.float32)
