"""The studio's counter: a picture order in, an encoded picture out."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from emulators.studio.brush import OVERSIZE, Brush
from emulators.studio.camera import set_up_camera
from emulators.studio.cutout import Cutout, cut_out, trim
from emulators.studio.fields import Pixels
from emulators.studio.finish import bloom, encode, vignette
from emulators.studio.ground import paint_ground, survey
from emulators.studio.lamp import draw_lamp
from emulators.studio.land import paint_land, paint_sea
from emulators.studio.palette import palette_of
from emulators.studio.pixels import to_image, to_pixels
from emulators.studio.places import props_of
from emulators.studio.product import place_product, stand_product
from emulators.studio.scene import Angle, Place, Weather, read_scene
from emulators.studio.setting import Setting
from emulators.studio.sky import Sun, paint_sky, place_sun
from emulators.studio.textures import Textures, make_textures
from emulators.studio.weather import fall, wet_ground

KEPT_CUTOUTS = 8
LARGEST_DRAWN = 2048  # larger pictures are drawn at this height and enlarged


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrder:
    """Everything that shapes a picture."""

    prompt: str
    seed: str
    width: int
    height: int
    format: Literal["jpg", "png"]
    photo: bytes | None = None  # the product; without it a street lamp is drawn


class Studio:
    """Draws orders; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._textures: Textures | None = None
        self._cutouts: OrderedDict[bytes, Cutout] = OrderedDict()

    def draw(self, order: PictureOrder) -> bytes:
        """Draw and encode; equal orders give equal bytes."""
        setting = _set_up(order, self._ready_textures())
        pixels = _paint(setting, self._cutout(order.photo))
        picture = to_image(pixels)
        if picture.size != (order.width, order.height):
            picture = picture.resize((order.width, order.height), Image.Resampling.LANCZOS)
        return encode(picture, order.format)

    def _ready_textures(self) -> Textures:
        with self._lock:
            if self._textures is None:
                self._textures = make_textures()
            return self._textures

    def _cutout(self, photo: bytes | None) -> Cutout:
        key = b"" if photo is None else hashlib.sha256(photo).digest()
        with self._lock:
            if key not in self._cutouts:
                self._cutouts[key] = trim(draw_lamp()) if photo is None else cut_out(photo)
            self._cutouts.move_to_end(key)
            while len(self._cutouts) > KEPT_CUTOUTS:
                self._cutouts.popitem(last=False)
            return self._cutouts[key]


def _set_up(order: PictureOrder, textures: Textures) -> Setting:
    digest = hashlib.sha256(f"{order.seed}\n{order.prompt}".encode()).digest()
    chance = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    scene = read_scene(order.prompt, chance)
    share = min(1.0, LARGEST_DRAWN / max(order.width, order.height))
    width, height = max(2, round(order.width * share)), max(2, round(order.height * share))
    side = int(chance.choice((-1, 1)))
    centre = width * (0.5 - side * float(chance.uniform(0.06, 0.16)))
    camera = set_up_camera(scene.angle, width, height, centre)
    product = width * (0.5 + side * float(chance.uniform(0.10, 0.20)))
    return Setting(
        scene=scene,
        palette=palette_of(scene),
        camera=camera,
        textures=textures,
        chance=chance,
        side=side,
        product_column=product,
    )


def _paint(setting: Setting, cutout: Cutout) -> Pixels:
    sun = place_sun(setting)
    pixels = paint_sky(setting, sun)
    paint_land(setting, pixels)
    terrain = survey(setting)
    paint_ground(setting, pixels, terrain)
    if setting.scene.place is Place.COAST:
        paint_sea(setting, pixels, terrain, sun)
    pixels = _populate(setting, pixels, sun)
    if setting.scene.weather is Weather.RAINY:
        wet_ground(setting, pixels, terrain)
    place_product(setting, pixels, stand_product(setting, cutout), sun)
    fall(setting, pixels)
    bloom(pixels)
    vignette(pixels)
    return pixels


def _populate(setting: Setting, pixels: Pixels, sun: Sun) -> Pixels:
    camera = setting.camera
    image = to_image(pixels)
    image = image.resize(
        (camera.width * OVERSIZE, camera.height * OVERSIZE), Image.Resampling.NEAREST
    )
    brush = Brush(
        image=image,
        draw=ImageDraw.Draw(image, "RGBA"),
        camera=camera,
        palette=setting.palette,
    )
    light_from = -1.0 if sun.column < camera.width / 2 else 1.0
    for _, draw in props_of(setting, brush, light_from=light_from):
        draw()
    image = image.reduce(OVERSIZE)
    if setting.scene.angle is Angle.CLOSEUP:
        image = image.filter(ImageFilter.GaussianBlur(camera.height / 190))
    return to_pixels(image)
