"""Paint what lies far away: hills, mountain ranges, or the sea."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.fields import Field, Pixels
from emulators.studio.ground import Terrain
from emulators.studio.palette import Colour, mix, scaled
from emulators.studio.pixels import between_colours, blend
from emulators.studio.scene import Hour, Place, Season
from emulators.studio.setting import Setting
from emulators.studio.sky import Sun
from emulators.studio.textures import pick, smoothstep

ROCK: Colour = (0.42, 0.42, 0.45)
SNOWCAP: Colour = (0.96, 0.97, 1.0)
BEACH_METRES = 7.0  # from the middle of the road to the water
SHORE_METRES = 130.0  # beyond it all is water
DEEP_WATER: Colour = (0.10, 0.30, 0.40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A line of hills. Heights are shares of the picture's height above the horizon."""

    metres: float  # how far away, which is how pale
    height: float
    roughness: float  # 0 rolling hills, 1 jagged rock
    is_rock: bool = False


RANGES: dict[Place, tuple[Range, ...]] = {
    Place.MOUNTAIN: (
        Range(metres=400, height=0.36, roughness=0.9, is_rock=True),
        Range(metres=230, height=0.22, roughness=0.8, is_rock=True),
        Range(metres=150, height=0.085, roughness=0.35),
    ),
    Place.RURAL: (
        Range(metres=520, height=0.11, roughness=0.25),
        Range(metres=300, height=0.065, roughness=0.15),
        Range(metres=170, height=0.030, roughness=0.10),
    ),
    Place.COAST: (Range(metres=520, height=0.055, roughness=0.5),),
    Place.SUBURBAN: (
        Range(metres=480, height=0.070, roughness=0.3),
        Range(metres=260, height=0.034, roughness=0.5),
    ),
    Place.URBAN: (Range(metres=560, height=0.05, roughness=0.3),),
    Place.INDUSTRIAL: (Range(metres=480, height=0.045, roughness=0.3),),
}


def paint_land(setting: Setting, pixels: Pixels) -> None:
    """Paint the far ranges, the farthest first."""
    for place in RANGES[setting.scene.place]:
        _raise_range(setting, pixels, place)


def paint_sea(setting: Setting, pixels: Pixels, terrain: Terrain, sun: Sun) -> None:
    """Fill the ground beyond the beach with water that mirrors the sky, the sun's path over it."""
    below = pixels[setting.camera.horizon :]
    swell = (pick(setting.textures.billow, terrain.x * 3 + 40, terrain.z * 3) - 0.5) * 3.0
    out = (
        np.maximum(-terrain.beside * setting.side - BEACH_METRES, terrain.z - SHORE_METRES) + swell
    )
    water = _water(setting, terrain, pixels, sun)
    blend(below, water, smoothstep(-0.2, 1.2, out))
    foam = np.exp(-(((out - 0.6) / (0.35 + terrain.pixel * 1.5)) ** 2)) * 0.75
    blend(below, setting.palette.lit(SNOWCAP), foam.astype(np.float32))


def _water(setting: Setting, terrain: Terrain, pixels: Pixels, sun: Sun) -> Pixels:
    camera, palette, z = setting.camera, setting.palette, terrain.z
    mirrored = _mirrored_sky(pixels[: camera.horizon], z.shape[0])
    deep = np.asarray(palette.lit(DEEP_WATER), dtype=np.float32)
    flatness = np.clip(0.30 + z / 140.0, 0.0, 0.90)[..., None]
    ripple = pick(setting.textures.grain, terrain.x * 9 + 200, z * 26)
    water = deep + (mirrored - deep) * flatness
    water = water + ((ripple - 0.5) * np.clip(9.0 / z, 0.03, 0.20))[..., None]
    columns = np.arange(camera.width, dtype=np.float32)[None, :]
    spread = camera.width * (0.03 + 0.10 * np.linspace(0, 1, z.shape[0])[:, None])
    path = np.exp(-(((columns - sun.column) / spread) ** 2)) * smoothstep(0.46, 0.66, ripple)
    strength = {Hour.NOON: 0.25, Hour.NIGHT: 0.45}.get(setting.scene.hour, 0.85)
    blend(water, palette.sun, (path * strength * min(palette.glow, 1.0)).astype(np.float32))
    return water


def _mirrored_sky(above: Pixels, rows: int) -> Pixels:
    source = above.shape[0] - 1 - (np.arange(rows) * (above.shape[0] - 1) // max(rows, 1))
    return above[source].mean(axis=1, keepdims=True)


def _raise_range(setting: Setting, pixels: Pixels, place: Range) -> None:
    camera = setting.camera
    profile = _profile(setting, place.roughness) * place.height * camera.height
    top = max(0, camera.horizon - int(profile.max()) - 2)
    band = pixels[top : camera.horizon]
    if not band.size:
        return
    rows = np.arange(top, camera.horizon, dtype=np.float32)[:, None]
    ridge = camera.horizon - profile[None, :]
    depth = rows - ridge  # pixels below the ridge
    cover = np.clip(depth + 0.5, 0.0, 1.0)
    blend(band, _range_colours(setting, place, depth, profile), cover)


def _profile(setting: Setting, roughness: float) -> Field:
    """Draw a skyline: waves of ever higher pitch; a rough one is folded into ridges.

    Returns:
        One height for each column, from 0.15 to 1.
    """
    camera = setting.camera
    along = np.arange(camera.width, dtype=np.float32) / camera.height
    heights = np.zeros(camera.width, dtype=np.float32)
    for octave in range(7):
        pitch = 2.1 * 1.9**octave * setting.between(0.8, 1.2)
        wave = np.sin(along * pitch + setting.between(0, 6.28))
        folded = wave * (1 - roughness) + (1 - 2 * np.abs(wave)) * roughness
        heights += folded * (0.5 + 0.08 * roughness) ** octave
    heights -= heights.min()
    return 0.15 + 0.85 * heights / max(float(heights.max()), 1e-6)


def _range_colours(setting: Setting, place: Range, depth: Field, profile: Field) -> Pixels:
    palette = setting.palette
    wooded = scaled(mix(palette.leaf, palette.grass, 0.35), 0.80)
    foot = palette.at_distance(wooded, place.metres * 1.9)
    down = np.clip(depth / max(float(profile.max()), 1.0), 0.0, 1.0)
    if not place.is_rock:
        crest = palette.at_distance(wooded, place.metres)
        return between_colours(crest, foot, smoothstep(0.0, 0.9, down))
    columns = np.arange(profile.size, dtype=np.float32)[None, :]
    scale = 360 / setting.camera.height
    relief = pick(
        setting.textures.billow, columns * scale + depth * scale * 0.7, depth * scale * 0.9
    )
    relief = relief - pick(
        setting.textures.billow, columns * scale + depth * scale * 0.7 + 7, depth * scale * 0.9 + 3
    )
    facing = np.clip(0.5 + relief * 2.2 * setting.side, 0.0, 1.0)
    rock = between_colours(
        palette.at_distance(scaled(ROCK, 0.62), place.metres),
        palette.at_distance(scaled(ROCK, 1.15), place.metres),
        facing,
    )
    _cap_with_snow(setting, place, rock, depth, (profile, facing))
    mist = np.asarray(palette.at_distance(wooded, place.metres * 2.4), dtype=np.float32)
    return rock + (mist - rock) * smoothstep(0.25, 1.0, down)[..., None]


def _cap_with_snow(
    setting: Setting, place: Range, rock: Pixels, depth: Field, shape: tuple[Field, Field]
) -> None:
    profile, facing = shape
    winterly = setting.scene.is_white or setting.scene.season is Season.WINTER
    line = profile[None, :] * (0.75 if winterly else 0.30) - profile.max() * (
        0.0 if winterly else 0.08
    )
    share = smoothstep(0.0, -0.10 * float(profile.max()), depth - line - (facing - 0.5) * 30)
    palette = setting.palette
    shaded = palette.at_distance(scaled(SNOWCAP, 0.78), place.metres)
    sunny = palette.at_distance(SNOWCAP, place.metres * 0.6)
    blend(rock, between_colours(shaded, sunny, facing), share)
