"""The colours of a scene: sky, light and haze by hour and weather, leaves by season.

Colours are red, green, blue from 0 to 1, as they will be seen (not linear light).
"""

import math
from dataclasses import dataclass, replace

from emulators.studio.scene import Hour, Scene, Season, Weather

Colour = tuple[float, float, float]

FADE_METRES = 260.0  # after which a thing is about two thirds haze
HAZIEST = 0.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """One hour's colours; weather and season are worked in by `palette_of`."""

    zenith: Colour
    middle: Colour
    horizon: Colour
    sun: Colour  # of the sun's or moon's disc and glow
    haze: Colour  # what far things fade into
    light: Colour  # what near things are multiplied by
    cloud: Colour
    cloud_shade: Colour
    window: Colour  # a lit one
    leaf: Colour = (0.30, 0.46, 0.22)
    grass: Colour = (0.42, 0.56, 0.28)
    glow: float = 1.0  # strength of the sun's halo
    haze_reach: float = 1.0  # more: far things fade sooner

    def lit(self, colour: Colour) -> Colour:
        """Light a thing that is near."""
        return tint(colour, self.light)

    def at_distance(self, colour: Colour, metres: float) -> Colour:
        """Light a thing and let the haze before it take its part."""
        return mix(self.lit(colour), self.haze, faded(metres * self.haze_reach))


HOURS = {
    Hour.DAWN: Palette(
        zenith=(0.40, 0.55, 0.78),
        middle=(0.83, 0.77, 0.80),
        horizon=(1.00, 0.83, 0.66),
        sun=(1.00, 0.90, 0.70),
        haze=(0.95, 0.83, 0.76),
        light=(0.98, 0.86, 0.78),
        cloud=(1.00, 0.92, 0.86),
        cloud_shade=(0.74, 0.66, 0.74),
        window=(1.00, 0.88, 0.62),
        glow=1.1,
    ),
    Hour.NOON: Palette(
        zenith=(0.15, 0.41, 0.76),
        middle=(0.42, 0.68, 0.91),
        horizon=(0.80, 0.91, 0.97),
        sun=(1.00, 0.99, 0.92),
        haze=(0.78, 0.88, 0.95),
        light=(1.06, 1.04, 0.99),
        cloud=(1.00, 1.00, 1.00),
        cloud_shade=(0.74, 0.81, 0.89),
        window=(0.60, 0.74, 0.84),
        glow=1.0,
    ),
    Hour.DUSK: Palette(
        zenith=(0.17, 0.20, 0.43),
        middle=(0.68, 0.40, 0.53),
        horizon=(1.00, 0.63, 0.33),
        sun=(1.00, 0.76, 0.45),
        haze=(0.80, 0.61, 0.58),
        light=(0.88, 0.69, 0.61),
        cloud=(1.00, 0.62, 0.46),
        cloud_shade=(0.42, 0.30, 0.46),
        window=(1.00, 0.82, 0.48),
        glow=1.4,
    ),
    Hour.NIGHT: Palette(
        zenith=(0.030, 0.055, 0.135),
        middle=(0.065, 0.115, 0.235),
        horizon=(0.170, 0.245, 0.385),
        sun=(0.86, 0.91, 1.00),
        haze=(0.125, 0.185, 0.305),
        light=(0.30, 0.36, 0.50),
        cloud=(0.26, 0.32, 0.45),
        cloud_shade=(0.08, 0.11, 0.19),
        window=(1.00, 0.80, 0.46),
        glow=0.45,
    ),
}

# how far the sky turns to plain cloud, how bright it then is, and how soon things fade
WEATHERS = {
    Weather.SUNNY: (0.0, 1.0, 1.0),
    Weather.CLOUDY: (0.62, 0.97, 1.2),
    Weather.RAINY: (0.76, 0.80, 1.5),
    Weather.SNOWY: (0.66, 0.99, 1.5),
    Weather.FOGGY: (0.80, 1.02, 5.5),
}
SEASONS: dict[Season, tuple[Colour, Colour]] = {  # leaf, grass
    Season.SPRING: ((0.47, 0.62, 0.29), (0.50, 0.65, 0.31)),
    Season.SUMMER: ((0.24, 0.45, 0.20), (0.38, 0.55, 0.25)),
    Season.AUTUMN: ((0.80, 0.45, 0.16), (0.62, 0.55, 0.28)),
    Season.WINTER: ((0.42, 0.37, 0.32), (0.56, 0.53, 0.40)),
}
COLD: Colour = (0.95, 1.0, 1.07)
DARKEST_NIGHT = 0.92  # bad weather darkens a night no further
SNOW_NIGHT_GAIN = 1.35
SNOW: Colour = (0.94, 0.96, 1.00)


def palette_of(scene: Scene) -> Palette:
    """Mix the colours of a scene."""
    hour = HOURS[scene.hour]
    veil, brightness, haze_reach = WEATHERS[scene.weather]
    leaf, grass = SEASONS[scene.season]
    if scene.is_dark:
        brightness = max(brightness, DARKEST_NIGHT)
    grey = scaled(_grey_of(hour), brightness)
    if scene.is_white:
        grey = mix(grey, tint(_flat(grey), COLD), 0.7)
    veiled = replace(
        hour,
        zenith=mix(scaled(hour.zenith, brightness), scaled(grey, 0.82), veil),
        middle=mix(scaled(hour.middle, brightness), scaled(grey, 0.94), veil),
        horizon=mix(scaled(hour.horizon, brightness), grey, veil),
        haze=mix(scaled(hour.haze, brightness), grey, veil),
        light=scaled(mix(hour.light, _flat(hour.light), veil * 0.8), 0.55 + 0.45 * brightness),
        cloud=mix(scaled(hour.cloud, brightness), grey, veil * 0.55),
        cloud_shade=mix(scaled(hour.cloud_shade, brightness), scaled(grey, 0.74), veil * 0.8),
        leaf=leaf,
        grass=grass,
        glow=hour.glow * (1 - veil),
        haze_reach=haze_reach,
    )
    return _under_snow(scene, veiled) if scene.is_white else veiled


def _under_snow(scene: Scene, palette: Palette) -> Palette:
    """Whiten what grows; at night snow makes everything a little brighter."""
    gain = SNOW_NIGHT_GAIN if scene.is_dark else 1.0
    return replace(
        palette,
        leaf=mix(palette.leaf, SNOW, 0.62),
        grass=mix(palette.grass, SNOW, 0.93),
        light=scaled(palette.light, gain),
        haze=scaled(palette.haze, gain),
        horizon=scaled(palette.horizon, gain),
        middle=scaled(palette.middle, gain),
    )


def faded(metres: float) -> float:
    """Tell how much of a thing so far away the haze has taken, from 0 to HAZIEST."""
    return min(1 - math.exp(-metres / FADE_METRES), HAZIEST)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Blend two colours; share 1 is all of the other."""
    return (
        one[0] + (other[0] - one[0]) * share,
        one[1] + (other[1] - one[1]) * share,
        one[2] + (other[2] - one[2]) * share,
    )


def tint(colour: Colour, light: Colour) -> Colour:
    """Multiply a colour by a light."""
    return (colour[0] * light[0], colour[1] * light[1], colour[2] * light[2])


def scaled(colour: Colour, by: float) -> Colour:
    """Make a colour brighter or darker."""
    return (colour[0] * by, colour[1] * by, colour[2] * by)


def eight_bit(colour: Colour, opacity: float = 1.0) -> tuple[int, int, int, int]:
    """Give a colour to a drawing library."""
    red, green, blue = colour
    return (
        min(max(int(red * 255 + 0.5), 0), 255),
        min(max(int(green * 255 + 0.5), 0), 255),
        min(max(int(blue * 255 + 0.5), 0), 255),
        int(opacity * 255 + 0.5),
    )


def _grey_of(hour: Palette) -> Colour:
    level = 0.30 * hour.horizon[0] + 0.55 * hour.horizon[1] + 0.15 * hour.horizon[2]
    return mix((level, level * 1.01, level * 1.03), hour.haze, 0.30)


def _flat(light: Colour) -> Colour:
    level = sum(light) / 3
    return (level * 0.97, level, level * 1.03)
