"""Paint the ground: grass, fields, pavement or snow, and the road that runs through it."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.fields import Field, Pixels
from emulators.studio.palette import FADE_METRES, HAZIEST, SNOW, Colour, mix, scaled
from emulators.studio.pixels import between_colours, blend
from emulators.studio.scene import Place, Road, Weather
from emulators.studio.setting import Setting
from emulators.studio.textures import pick, sample, smoothstep

ROAD_HALF_METRES = 3.1
PRODUCT_TO_ROAD_METRES = 1.1
PAVEMENT_METRES = 3.4
STRAIGHT_FROM_METRES = 2.0  # from higher up the rows of houses show, which do not bend
CLEAREST_METRES = 300.0  # the haze takes no more than at this distance

ROADS: dict[Road, Colour] = {
    Road.ASPHALT: (0.30, 0.31, 0.33),
    Road.CEMENT: (0.66, 0.65, 0.62),
    Road.DIRT: (0.62, 0.50, 0.36),
    Road.STONE: (0.58, 0.55, 0.51),
}
PAVEMENT: Colour = (0.62, 0.61, 0.60)
SAND: Colour = (0.88, 0.79, 0.62)
YARD: Colour = (0.55, 0.54, 0.51)
FIELDS: tuple[Colour, ...] = (
    (0.78, 0.69, 0.34),
    (0.45, 0.58, 0.24),
    (0.60, 0.64, 0.30),
    (0.55, 0.43, 0.28),
    (0.36, 0.50, 0.22),
    (0.70, 0.72, 0.40),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """The ground in metres, pixel by pixel, and where the road runs over it."""

    x: Field  # rows, columns
    z: Field  # rows, 1
    beside: Field  # metres from the middle of the road; rows, columns
    pixel: Field  # metres one pixel is wide; rows, 1


def survey(setting: Setting) -> Terrain:
    """Measure the ground; the road passes beside the product and bends a little."""
    camera = setting.camera
    x, z = camera.ground()
    bend = setting.between(-0.0016, 0.0016) / max(
        1.0, camera.view.eye_metres / STRAIGHT_FROM_METRES
    )
    middle = road_middle(setting) + bend * np.minimum(z, 160.0) ** 2
    return Terrain(x=x, z=z, beside=(x - middle).astype(np.float32), pixel=z / camera.focal)


def road_middle(setting: Setting) -> float:
    """Find the middle of the road where it passes the product, in metres."""
    camera = setting.camera
    foot = min(camera.view.product_foot, 0.98) * camera.height
    depth = camera.depth_of_row(foot)
    product = (setting.product_column - camera.centre) * depth / camera.focal
    return product - setting.side * (ROAD_HALF_METRES + PRODUCT_TO_ROAD_METRES)


def paint_ground(setting: Setting, pixels: Pixels, terrain: Terrain) -> None:
    """Paint everything below the horizon."""
    below = pixels[setting.camera.horizon :]
    below[:] = _cover(setting, terrain)
    _lay_road(setting, terrain, below)
    _fade(setting, terrain, below)


def _cover(setting: Setting, terrain: Terrain) -> Pixels:
    place = setting.scene.place
    grass = _grass(setting, terrain)
    if place is Place.RURAL:
        _sow_fields(setting, terrain, grass)
    if place in {Place.URBAN, Place.INDUSTRIAL}:
        paved = PAVEMENT if place is Place.URBAN else YARD
        _pave(setting, terrain, grass, paved)
    if place is Place.COAST:
        blend(grass, setting.palette.lit(SAND), np.full(terrain.x.shape, 0.93, np.float32))
        _roughen(setting, terrain, grass, amount=0.05)
    return grass


def _grass(setting: Setting, terrain: Terrain) -> Pixels:
    palette = setting.palette
    blades = pick(setting.textures.grain, terrain.x * 34, terrain.z * 30)
    patches = pick(setting.textures.billow, terrain.x * 5 + 60, terrain.z * 4)
    near = smoothstep(60.0, 4.0, terrain.z)
    share = 0.62 * patches + (0.42 * blades) * near + 0.21 * (1 - near)
    dark = palette.lit(scaled(mix(palette.grass, palette.leaf, 0.4), 0.62))
    light = palette.lit(scaled(palette.grass, 1.12))
    if setting.scene.is_white:
        dark, light = palette.lit((0.80, 0.85, 0.93)), palette.lit(SNOW)
    return between_colours(dark, light, np.clip(share, 0.0, 1.0))


def _sow_fields(setting: Setting, terrain: Terrain, cover: Pixels) -> None:
    """Lay a patchwork of fields, each in one colour and combed in its own direction."""
    beside = np.abs(terrain.beside) - ROAD_HALF_METRES - 5.0
    column = np.floor((terrain.x + 0.25 * terrain.z) / 34.0)
    row = np.floor((terrain.z + 0.12 * terrain.x) / 46.0)
    number = (np.abs(column * 7 + row * 13) % len(FIELDS)).astype(np.int32)
    season = setting.palette.grass
    colours = np.array([setting.palette.lit(mix(one, season, 0.45)) for one in FIELDS], np.float32)
    across = np.where(number % 2 == 0, terrain.x, terrain.x * 0.4 + terrain.z * 0.9)
    furrows = np.sin(across * 3.4) * np.clip(0.22 / terrain.pixel / 2.0, 0.0, 1.0)
    share = smoothstep(0.0, 1.5, beside) * (0.30 if setting.scene.is_white else 0.88)
    field = colours[number] * (1.0 + 0.11 * furrows)[..., None]
    blend(cover, field.astype(np.float32), share)


def _pave(setting: Setting, terrain: Terrain, cover: Pixels, paved: Colour) -> None:
    colour = mix(paved, SNOW, 0.6) if setting.scene.is_white else paved
    share = np.full(terrain.x.shape, 0.95, np.float32)
    blend(cover, setting.palette.lit(colour), share)
    joints = np.minimum(_joint(terrain.beside, 1.2, terrain), _joint(terrain.z, 1.2, terrain))
    cover *= (1.0 - 0.10 * (1 - joints) * smoothstep(30.0, 8.0, terrain.z))[..., None]
    _roughen(setting, terrain, cover, amount=0.05)


def _joint(along: Field, every: float, terrain: Terrain) -> Field:
    """Draw thin lines every so many metres: 0 on a line, 1 beside it."""
    off = np.abs(along / every - np.round(along / every)) * every
    return np.clip((off - 0.015) / (terrain.pixel + 0.012), 0.0, 1.0)


def _lay_road(setting: Setting, terrain: Terrain, below: Pixels) -> None:
    beside = np.abs(terrain.beside)
    edge = ROAD_HALF_METRES
    ragged = 0.0
    if setting.scene.road is Road.DIRT:
        ragged = (sample(setting.textures.grain, terrain.x * 9, terrain.z * 6) - 0.5) * 0.9
    inside = np.clip((edge - beside + ragged) / (terrain.pixel * 1.2 + 0.02), 0.0, 1.0)
    blend(below, _road_colours(setting, terrain), inside.astype(np.float32))
    if setting.scene.road in {Road.ASPHALT, Road.CEMENT}:
        _mark_lanes(setting, terrain, below)
    if setting.scene.place in {Place.URBAN, Place.SUBURBAN, Place.INDUSTRIAL, Place.COAST}:
        _set_kerb(setting, terrain, below)


def _road_colours(setting: Setting, terrain: Terrain) -> Pixels:
    road, palette = setting.scene.road, setting.palette
    colour = ROADS[road]
    if setting.scene.weather is Weather.RAINY:
        colour = scaled(colour, 0.62)
    if setting.scene.is_white:
        colour = mix(colour, SNOW, 0.55)
    grain = pick(setting.textures.grain, terrain.x * 40 + 11, terrain.z * 34)
    wear = pick(setting.textures.billow, terrain.beside * 7, terrain.z * 1.2)
    share = 0.35 * grain * smoothstep(40.0, 3.0, terrain.z) + 0.65 * wear
    surface = between_colours(
        palette.lit(scaled(colour, 0.80)), palette.lit(scaled(colour, 1.18)), share
    )
    if road is Road.STONE:
        slabs = np.minimum(_joint(terrain.beside, 0.9, terrain), _joint(terrain.z, 1.3, terrain))
        surface *= (1.0 - 0.30 * (1 - slabs) * smoothstep(45.0, 6.0, terrain.z))[..., None]
    if road is Road.DIRT:
        ruts = np.exp(-(((np.abs(terrain.beside) - 1.0) / 0.45) ** 2))
        surface *= (1.0 - 0.16 * ruts)[..., None]
    return surface


def _mark_lanes(setting: Setting, terrain: Terrain, below: Pixels) -> None:
    soft = terrain.pixel * 0.8 + 0.012
    middle = np.clip((0.075 - np.abs(terrain.beside)) / soft + 0.5, 0.0, 1.0)
    dashes = smoothstep(0.0, 0.25, np.abs(terrain.z / 6.0 % 1.0 - 0.5) - 0.18)
    edges = np.clip(
        (0.06 - np.abs(np.abs(terrain.beside) - ROAD_HALF_METRES + 0.35)) / soft + 0.5, 0, 1
    )
    strength = 0.35 if setting.scene.is_white else 0.80
    visible = np.maximum(middle * dashes, edges) * strength * smoothstep(150.0, 50.0, terrain.z)
    blend(below, setting.palette.lit((0.93, 0.92, 0.87)), visible.astype(np.float32))


def _set_kerb(setting: Setting, terrain: Terrain, below: Pixels) -> None:
    off = np.abs(terrain.beside) - ROAD_HALF_METRES
    soft = terrain.pixel + 0.02
    walk = np.clip(off / soft, 0, 1) * np.clip((PAVEMENT_METRES - off) / soft, 0, 1)
    if setting.scene.place is not Place.URBAN:
        walk = walk * np.clip((2.0 - off) / soft, 0, 1)
    colour = mix(PAVEMENT, SNOW, 0.65) if setting.scene.is_white else scaled(PAVEMENT, 1.05)
    slabs = np.minimum(_joint(terrain.beside, 0.8, terrain), _joint(terrain.z, 0.8, terrain))
    tone = (1.0 - 0.12 * (1 - slabs) * smoothstep(28.0, 5.0, terrain.z)).astype(np.float32)
    lit = np.asarray(setting.palette.lit(colour), np.float32) * tone[..., None]
    blend(below, lit, (walk * 0.92).astype(np.float32))
    kerb = np.clip((0.09 - np.abs(off - 0.09)) / soft + 0.3, 0, 1) * smoothstep(
        120.0, 30.0, terrain.z
    )
    blend(below, setting.palette.lit((0.82, 0.81, 0.79)), (kerb * 0.75).astype(np.float32))


def _roughen(setting: Setting, terrain: Terrain, cover: Pixels, *, amount: float) -> None:
    grain = pick(setting.textures.grain, terrain.x * 26 + 5, terrain.z * 22)
    cover *= (1.0 + (grain - 0.5) * 2 * amount * smoothstep(60.0, 3.0, terrain.z))[..., None]


def _fade(setting: Setting, terrain: Terrain, below: Pixels) -> None:
    """Let the haze take what is far."""
    palette = setting.palette
    metres = np.minimum(terrain.z, CLEAREST_METRES)  # else a pale bar would lie before the hills
    share = 1.0 - np.exp(-metres * palette.haze_reach / FADE_METRES)
    share = np.minimum(share, HAZIEST).astype(np.float32)
    blend(below, palette.haze, np.broadcast_to(share, terrain.x.shape))
