"""Let it rain, snow or drift over a finished scene, and let wet ground mirror it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from emulators.studio.fields import Field, Pixels
from emulators.studio.ground import ROAD_HALF_METRES, Terrain
from emulators.studio.palette import SNOW, Colour, mix
from emulators.studio.pixels import blend
from emulators.studio.scene import Weather
from emulators.studio.setting import Setting
from emulators.studio.textures import pick, smoothstep


def wet_ground(setting: Setting, pixels: Pixels, terrain: Terrain) -> None:
    """Mirror what stands above the horizon in wet ground, most on the road and in puddles."""
    horizon = setting.camera.horizon
    below, above = pixels[horizon:], pixels[:horizon]
    rows = np.arange(below.shape[0], dtype=np.float32)
    source = np.clip(horizon - 1 - rows * 1.35, 0, horizon - 1).astype(np.int32)
    mirrored = _smeared(above)[source]
    puddles = smoothstep(0.52, 0.66, pick(setting.textures.billow, terrain.x * 9, terrain.z * 6))
    on_road = np.abs(terrain.beside) < ROAD_HALF_METRES
    share = np.where(on_road, 0.34 + 0.30 * puddles, 0.10 + 0.16 * puddles)
    blend(below, mirrored, share.astype(np.float32))


def fall(setting: Setting, pixels: Pixels) -> None:
    """Add what falls: rain or snow; and the mist that hangs over the ground."""
    weather = setting.scene.weather
    if weather is Weather.RAINY:
        blend(pixels, mix(setting.palette.haze, (1.0, 1.0, 1.0), 0.35), _rain(setting) * 0.42)
    if weather is Weather.SNOWY:
        blend(pixels, _flake_colour(setting), _snow(setting) * 0.92)
    if weather is Weather.FOGGY:
        _hang_mist(setting, pixels)


def _smeared(above: Pixels) -> Pixels:
    """Blur downwards, as ripples do to a reflection."""
    image = Image.fromarray((np.clip(above, 0, 1) * 255).astype(np.uint8))
    low = image.resize((image.width, max(1, image.height // 12)), Image.Resampling.BOX)
    return np.asarray(low.resize(image.size, Image.Resampling.BILINEAR), dtype=np.float32) / 255.0


def _sheet(setting: Setting) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("L", (setting.camera.width, setting.camera.height))
    return sheet, ImageDraw.Draw(sheet)


def _rain(setting: Setting) -> Field:
    sheet, draw = _sheet(setting)
    height, width = setting.camera.height, setting.camera.width
    count = min(900, 60 + height)
    spots = setting.chance.random((count, 3))
    slant = setting.between(-0.16, 0.16)
    for across, down, near in spots:
        length = height * (0.014 + 0.060 * near**2)
        x, y = across * width * 1.2 - width * 0.1, down * (height + length) - length
        thick = max(1, round(height / 1024 * (1 + 1.4 * near**4)))
        draw.line((x, y, x + slant * length, y + length), fill=int(50 + 150 * near), width=thick)
    soft = sheet.filter(ImageFilter.GaussianBlur(height / 1600))
    return np.asarray(soft, dtype=np.float32) / 255.0


def _snow(setting: Setting) -> Field:
    height, width = setting.camera.height, setting.camera.width
    cover = np.zeros((height, width), dtype=np.float32)
    # far flakes are many and small, near ones few, large and out of focus
    for count, size, blur, strength in (
        (700, 0.0016, 0.0, 0.75),
        (150, 0.0038, 0.0012, 0.9),
        (26, 0.009, 0.0045, 0.75),
    ):
        sheet, draw = _sheet(setting)
        spots = setting.chance.random((max(4, round(count * min(1.0, height / 512))), 3))
        for across, down, vary in spots:
            radius = max(0.4, height * size * (0.6 + 0.8 * vary))
            x, y = across * width, down * height
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(255 * strength))
        soft = sheet.filter(ImageFilter.GaussianBlur(height * blur)) if blur else sheet
        cover = np.maximum(cover, np.asarray(soft, dtype=np.float32) / 255.0)
    return cover


def _flake_colour(setting: Setting) -> Colour:
    return mix(SNOW, setting.palette.haze, 0.45 if setting.scene.is_dark else 0.0)


def _hang_mist(setting: Setting, pixels: Pixels) -> None:
    camera = setting.camera
    rows = (np.arange(camera.height, dtype=np.float32)[:, None] - camera.horizon) / camera.height
    columns = np.arange(camera.width, dtype=np.float32)[None, :]
    swirl = pick(setting.textures.billow, columns * (150 / camera.height), rows * 620 + 900)
    share = np.exp(-((rows / 0.16) ** 2)) * (0.42 + 0.55 * swirl)
    blend(pixels, setting.palette.haze, np.clip(share, 0.0, 0.85).astype(np.float32))
