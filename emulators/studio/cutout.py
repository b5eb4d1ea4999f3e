"""Cut a product out of its photo: by its alpha, or by the plain bright ground around it."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from emulators.studio.fields import Field, Mask, Pixels
from emulators.studio.pixels import enlarge, to_image, to_pixels
from emulators.studio.textures import smoothstep

LARGEST_SIDE = 1200
SMALLEST_SIDE = 16
CLEAR = 250  # an alpha below is see-through
LEAST_CLEAR_SHARE = 0.02
PLAIN_SPREAD = 0.16  # a border whose colours vary more is no plain ground
COARSE_SIDE = 224  # the ground is flooded on a picture so small
GROUND_REACH = 0.08  # how far a colour may be from the ground's and still be ground
SHADOW_DEPTH = 0.55  # how much darker than the ground its shadows may be ...
SHADOW_CHROMA = 0.035  # ... being as colourless as it, so nearly ...
SHADOW_STEP = 0.022  # ... and so soft, from one pixel of the photo to the next
NEARLY, WHOLLY = 0.5, 0.98  # shares of ground around a pixel that count as some and as all
FAR_WEIGHT = 0.02  # of the border's colour, where no ground is near
FAINTEST = 40  # a fainter alpha is dust
HEAD_REGION = 0.30  # a lamp's head is in the upper so much of it
COARSE_LIGHT = 64  # it is looked for on a picture so small
FOOT_ROWS = 4  # of those rows, the foot is in the lowest
SOLID = 100  # an alpha that counts there


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A product on nothing, trimmed: RGBA, and two points of it in shares of its size."""

    sizes: tuple[Image.Image, ...]  # each half as large as the one before it
    light_at: tuple[float, float]  # where it would shine
    foot_at: float  # the column it stands on

    @property
    def aspect(self) -> float:
        """Give width over height."""
        return self.sizes[0].width / self.sizes[0].height

    def resized(self, width: int, height: int) -> Image.Image:
        """Shrink or stretch it from the smallest size that is large enough."""
        large = [size for size in self.sizes if size.height >= height] or self.sizes[:1]
        return large[-1].resize((width, height), Image.Resampling.LANCZOS)


def cut_out(photo: bytes) -> Cutout:
    """Cut out the product of an encoded photo.

    Raises:
        OSError: Pillow cannot read it.
    """
    with Image.open(io.BytesIO(photo)) as opened:
        opened.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
        upright = ImageOps.exif_transpose(opened)
        upright.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        return trim(_with_alpha(upright.convert("RGBA")))


def trim(image: Image.Image) -> Cutout:
    """Trim an RGBA product to what is visible of it, and find where it shines."""
    visible = np.asarray(image.getchannel("A")) > FAINTEST
    box = Image.fromarray(visible).getbbox() or (0, 0, image.width, image.height)
    seen = image.crop(box)
    coarse = seen.getchannel("A").resize((COARSE_LIGHT, COARSE_LIGHT), Image.Resampling.BOX)
    solid = np.asarray(coarse) > SOLID
    return Cutout(
        sizes=_halvings(seen), light_at=_light_of(solid), foot_at=_column_of(solid[-FOOT_ROWS:])
    )


def _halvings(image: Image.Image) -> tuple[Image.Image, ...]:
    sizes = [image]
    while min(sizes[-1].size) >= 2 * SMALLEST_SIDE:
        sizes.append(sizes[-1].convert("RGBa").reduce(2).convert("RGBA"))
    return tuple(sizes)


def _with_alpha(image: Image.Image) -> Image.Image:
    alpha = np.asarray(image.getchannel("A"))
    if (alpha < CLEAR).mean() > LEAST_CLEAR_SHARE:
        return image
    colours = to_pixels(image.convert("RGB"))
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    if border.std(axis=0).max() > PLAIN_SPREAD:
        return image  # no plain ground: the whole photo is the product
    small = to_pixels(to_image(colours).resize((COARSE_SIDE, COARSE_SIDE), Image.Resampling.BOX))
    ground = np.median(border, axis=0)
    reached = _flood(_passable(small, ground, _steepest(colours)))
    image.putalpha(_mask_image(_opacity(colours, _beside(small, ground, reached), reached)))
    return image


def _mask_image(opacity: Field) -> Image.Image:
    """Round a coverage to an 8-bit mask."""
    return Image.fromarray((opacity * 255 + 0.5).astype(np.uint8))


def _steepest(colours: Pixels) -> Field:
    """Find the steepest change of brightness within each coarse pixel."""
    grey = colours.mean(axis=2)
    steep = np.zeros_like(grey)
    steep[1:] = np.abs(np.diff(grey, axis=0))
    steep[:, 1:] = np.maximum(steep[:, 1:], np.abs(np.diff(grey, axis=1)))
    for axis in (0, 1):
        starts = np.arange(COARSE_SIDE) * steep.shape[axis] // COARSE_SIDE
        steep = np.maximum.reduceat(steep, starts, axis=axis)
    return steep


def _passable(small: Pixels, ground: Field, steepest: Field) -> Mask:
    """Tell where the ground may be: its own colour, or its soft colourless shadow."""
    off = small - ground
    drop = -off.mean(axis=2)
    chroma = np.abs(off + drop[..., None]).max(axis=2)
    is_dim = (chroma < SHADOW_CHROMA) & (drop < SHADOW_DEPTH)
    is_shadow = is_dim & (steepest < SHADOW_STEP)
    return (np.abs(off).max(axis=2) < GROUND_REACH) | is_shadow


def _flood(passable: Mask) -> Mask:
    """Let the ground flow in from the border; what it cannot reach belongs to the product."""
    reached = np.zeros_like(passable)
    reached[[0, -1]], reached[:, [0, -1]] = passable[[0, -1]], passable[:, [0, -1]]
    while True:
        grown = _grown(reached) & passable
        if (grown == reached).all():
            return reached
        reached = grown


def _grown(reached: Mask) -> Mask:
    grown = reached.copy()
    grown[1:] |= reached[:-1]
    grown[:-1] |= reached[1:]
    grown[:, 1:] |= reached[:, :-1]
    grown[:, :-1] |= reached[:, 1:]
    return grown


def _beside(small: Pixels, ground: Field, reached: Mask) -> Pixels:
    """Guess the ground's colour behind each coarse pixel from the ground that is near it."""
    inside = reached.astype(np.float32)
    weight = _blurred(inside) + FAR_WEIGHT
    near = [_blurred(np.ascontiguousarray(small[..., part]) * inside) for part in range(3)]
    return (np.stack(near, axis=2) + ground * FAR_WEIGHT) / weight[..., None]


def _opacity(colours: Pixels, beside: Pixels, reached: Mask) -> Field:
    """Soften the product's edge: compare each pixel there with the ground beside it."""
    height, width = colours.shape[:2]
    ground = [enlarge(np.ascontiguousarray(beside[..., part]), width, height) for part in range(3)]
    distance = np.abs(colours - np.stack(ground, axis=2)).max(axis=2)
    edge = smoothstep(GROUND_REACH * 0.3, GROUND_REACH * 1.4, distance)
    near = enlarge(_grown(_grown(reached)).astype(np.float32), width, height)
    deep = enlarge(reached.astype(np.float32), width, height)
    opacity = np.where(near > NEARLY, edge, 1.0)
    return np.where(deep > WHOLLY, 0.0, opacity).astype(np.float32)


def _blurred(field: Field) -> Field:
    """Blur by shrinking to a quarter and stretching back."""
    side = COARSE_SIDE // 4
    small = Image.fromarray(field).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((COARSE_SIDE, COARSE_SIDE), Image.Resampling.BILINEAR))


def _light_of(solid: Mask) -> tuple[float, float]:
    """Find a lamp's head: what reaches farthest from the pole in the upper part."""
    side = solid.shape[0]
    pole = _column_of(solid[side * 5 // 8 :]) * side
    away = np.abs(np.arange(side, dtype=np.float32) + 0.5 - pole)
    reach = np.where(solid, away, 0.0)[: int(side * HEAD_REGION)]
    farthest = reach.max(axis=1)
    if farthest.max() == 0:
        return 0.5, 0.05
    row = int(np.flatnonzero(farthest > 0.6 * farthest.max())[-1])
    tip = np.flatnonzero(reach[row] > 0.45 * farthest[row])
    return (float(tip.mean()) + 0.5) / side, (row + 1) / side


def _column_of(solid: Mask) -> float:
    """Find the middle column of what is there, as a share of the width."""
    count = solid.sum(axis=0, dtype=np.float32)
    columns = np.arange(solid.shape[1], dtype=np.float32) + 0.5
    return float((count * columns).sum() / max(count.sum(), 1)) / solid.shape[1] or 0.5
