"""Stand the product in the scene: its shadow, the scene's light on it, and its own light."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from emulators.studio.cutout import Cutout
from emulators.studio.fields import Field, Pixels
from emulators.studio.palette import Colour, mix
from emulators.studio.pixels import blend, coarse_step, enlarge, to_pixels
from emulators.studio.scene import Angle, Hour, Weather
from emulators.studio.setting import Setting
from emulators.studio.sky import Sun

WIDEST = 0.62  # share of the picture's width
MARGIN = 0.03  # between the product and the picture's left and right border
LAMP_ASPECT = 0.75  # width over height
TALL_FROM = 0.75  # of the picture's height
SHORT_FOOT = 0.93  # where a product that is not tall stands at the lowest
CLOSEUP_TOP = 0.08  # a close-up shows the head: nothing of it is higher, in picture heights
LEAST_SUN = 0.3  # a weaker sun casts no shadow
LEAST_SHADOW_PIXELS = 3  # with less ground to fall on there is none to see
SHADOW: Colour = (0.04, 0.05, 0.08)
LAMP_LIGHT: Colour = (1.0, 0.86, 0.58)
CONE_STRENGTHS = {Hour.NIGHT: 1.0, Hour.DUSK: 0.36}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where the product stands, in pixels."""

    left: int
    top: int
    width: int
    height: int
    light: tuple[float, float]  # column and row of its light
    column: float  # where it touches the ground

    @property
    def foot(self) -> float:
        """Give the row it stands on."""
        return self.top + self.height

    @property
    def is_lamp(self) -> bool:
        """Tell whether it is slender enough to be a lamp that shines at night."""
        return self.width < LAMP_ASPECT * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A product at its place and in its size: colours and coverage."""

    stand: Stand
    pixels: Pixels
    cover: Field


def stand_product(setting: Setting, cutout: Cutout) -> Standing:
    """Size the product for the camera and find its place; its light points over the road."""
    camera, aspect = setting.camera, cutout.aspect
    height = min(camera.view.product_height * camera.height, WIDEST * camera.width / aspect)
    size = max(1, round(height * aspect)), max(1, round(height))
    resized = cutout.resized(*size)
    (light_x, light_y), foot_x = cutout.light_at, cutout.foot_at
    if (light_x - foot_x) * setting.side > 0:
        resized = resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        light_x, foot_x = 1 - light_x, 1 - foot_x
    margin = round(MARGIN * camera.width)
    left = round(setting.product_column - foot_x * size[0])
    left = max(margin, min(left, camera.width - size[0] - margin))
    top = round(_foot_share(setting, size[1]) * camera.height - size[1])
    if setting.scene.angle is Angle.CLOSEUP:
        top = max(top, round(camera.height * CLOSEUP_TOP))
    stand = Stand(
        left=left,
        top=top,
        width=size[0],
        height=size[1],
        light=(left + light_x * size[0], top + light_y * size[1]),
        column=left + foot_x * size[0],
    )
    layers = to_pixels(resized)
    return Standing(stand=stand, pixels=layers[..., :3], cover=layers[..., 3])


def _foot_share(setting: Setting, height: int) -> float:
    """Choose where the product stands; only a tall one may stand below the picture."""
    camera = setting.camera
    is_tall = height > TALL_FROM * camera.height
    return camera.view.product_foot if is_tall else min(camera.view.product_foot, SHORT_FOOT)


def place_product(setting: Setting, pixels: Pixels, standing: Standing, sun: Sun) -> None:
    """Put the product into the picture, between its shadow and its light."""
    _cast_shadow(setting, pixels, standing, sun)
    strength = CONE_STRENGTHS.get(setting.scene.hour, 0.0)
    if strength:
        _pool(setting, pixels, standing.stand, strength)
    window = _window(pixels, standing)
    if window is not None:
        target, colours, cover = window
        blend(target, _graded(setting, colours), cover)
    if strength and standing.stand.is_lamp:
        _cone(setting, pixels, standing.stand, strength)


def _window(pixels: Pixels, standing: Standing) -> tuple[Pixels, Pixels, Field] | None:
    """Cut the product to the picture's borders."""
    stand = standing.stand
    rows = slice(max(0, stand.top), min(pixels.shape[0], stand.top + stand.height))
    columns = slice(max(0, stand.left), min(pixels.shape[1], stand.left + stand.width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    inner_rows = slice(rows.start - stand.top, rows.stop - stand.top)
    inner_columns = slice(columns.start - stand.left, columns.stop - stand.left)
    return (
        pixels[rows, columns],
        standing.pixels[inner_rows, inner_columns],
        standing.cover[inner_rows, inner_columns],
    )


def _graded(setting: Setting, colours: Pixels) -> Pixels:
    """Let the scene's light fall on the product, gently: it must stay recognizable."""
    palette = setting.palette
    strength = 0.62 if setting.scene.is_dark else 0.55
    light = np.asarray(mix((1.0, 1.0, 1.0), palette.light, strength), np.float32)
    veil = 0.16 if setting.scene.weather is Weather.FOGGY else 0.045
    return colours * light * (1 - veil) + np.asarray(palette.haze, np.float32) * veil


def _cast_shadow(setting: Setting, pixels: Pixels, standing: Standing, sun: Sun) -> None:
    if setting.scene.angle is Angle.CLOSEUP:
        return
    _touch_ground(setting, pixels, standing.stand)
    if setting.palette.glow > LEAST_SUN and not setting.scene.is_dark:
        _lay_shadow(setting, pixels, standing, sun)


def _touch_ground(setting: Setting, pixels: Pixels, stand: Stand) -> None:
    """Darken the ground where the product touches it."""
    width = max(2.0, min(stand.width * 0.5, stand.height * 0.09))
    height = width * min(0.42, 0.10 + setting.camera.view.eye_metres * 0.018)
    rows = _span(stand.foot - height * 3, stand.foot + height * 3, pixels.shape[0])
    columns = _span(stand.column - width * 3, stand.column + width * 3, pixels.shape[1])
    down = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - stand.foot) / height
    across = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - stand.column
    share = 0.55 * np.exp(-((across / width) ** 2 + down**2) * 1.4)
    blend(pixels[rows, columns], SHADOW, share.astype(np.float32))


def _lay_shadow(setting: Setting, pixels: Pixels, standing: Standing, sun: Sun) -> None:
    """Lay the product's outline on the ground, away from the sun."""
    stand, is_noon = standing.stand, setting.scene.hour is Hour.NOON
    fall, lean = (0.10, 0.35) if is_noon else (0.16, 1.15)  # down and aside, a pixel of height
    lean = lean if sun.column < stand.column else -lean
    reach = stand.height * abs(lean) + stand.width
    rows = _span(stand.foot - 2, stand.foot + stand.height * fall, pixels.shape[0])
    columns = _span(stand.column - reach, stand.column + reach, pixels.shape[1])
    size = columns.stop - columns.start, rows.stop - rows.start
    if min(size) < LEAST_SHADOW_PIXELS:
        return
    below = (rows.start - stand.foot) / fall
    look_up = (1, -lean / fall, columns.start - stand.left - lean * below)
    look_up += (0, -1 / fall, stand.height - below)
    outline = Image.fromarray((standing.cover * 255).astype(np.uint8))
    laid = outline.transform(size, Image.Transform.AFFINE, look_up, Image.Resampling.BILINEAR)
    soft = laid.filter(ImageFilter.GaussianBlur(setting.camera.height / 300))
    fade = np.linspace(0.40, 0.12, size[1], dtype=np.float32)[:, None]
    colour = mix(setting.palette.zenith, SHADOW, 0.75)
    blend(pixels[rows, columns], colour, to_pixels(soft) * fade)


def _pool(setting: Setting, pixels: Pixels, stand: Stand, strength: float) -> None:
    """Light the ground under the lamp."""
    foot = min(stand.foot, pixels.shape[0] * 1.02)
    wide = stand.height * 0.50
    flat = wide * min(0.45, 0.10 + setting.camera.view.eye_metres * 0.014)
    rows = _span(foot - flat * 2.2, foot + flat * 2.4, pixels.shape[0])
    down = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - foot) / flat
    across = (np.arange(pixels.shape[1], dtype=np.float32)[None, :] - stand.light[0]) / wide
    share = (np.exp(-((across**2 + down**2) ** 0.8) * 1.5) * strength)[..., None]
    ground = pixels[rows]
    ground += (ground * 2.1 + 0.13) * np.asarray(LAMP_LIGHT, np.float32) * share


def _cone(setting: Setting, pixels: Pixels, stand: Stand, strength: float) -> None:
    """Let light fall from the lamp through the air, and let the lamp itself glow."""
    rows, columns = pixels.shape[:2]
    column, row = stand.light
    step = coarse_step(rows)
    down = np.arange(0, rows, step, dtype=np.float32)[:, None] - row
    across = np.arange(0, columns, step, dtype=np.float32)[None, :] - column
    share = np.clip(down / max(stand.foot - row, 1.0), 0.0, 1.4)
    spread = stand.height * (0.035 + 0.40 * share)
    beam = np.exp(-((across / spread) ** 2) * 1.6) * (1 - share / 1.4) ** 1.25 * (down > 0)
    near = np.hypot(across, down * 1.3) / stand.height
    glow = 0.75 * np.exp(-((near / 0.028) ** 1.2)) + 0.34 * np.exp(-((near / 0.15) ** 1.1))
    is_thick = setting.scene.weather in {Weather.FOGGY, Weather.RAINY, Weather.SNOWY}
    light = (beam * (0.42 if is_thick else 0.30) + glow) * (strength * 0.9)
    full = enlarge(light.astype(np.float32), columns, rows)
    pixels += np.asarray(LAMP_LIGHT, np.float32) * full[..., None]


def _span(first: float, last: float, length: int) -> slice:
    """Cut a stretch of rows or columns to the picture."""
    start = min(max(0, int(first)), length)
    return slice(start, min(max(start, int(last) + 1), length))
