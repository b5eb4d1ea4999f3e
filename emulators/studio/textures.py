"""Seamless noise, made once and sampled ever after; and the small arithmetic of painting."""

from dataclasses import dataclass

import numpy as np

from emulators.studio.fields import Field

TILE = 512  # side of a tile in samples; a power of two, so that wrapping is a bit mask
WRAP = TILE - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Textures:
    """Tiles with values from 0 to 1 and mean about one half."""

    billow: Field  # soft, for clouds and hills
    grain: Field  # rough, for grass and asphalt


def make_textures() -> Textures:
    """Make the tiles; always the same ones, pictures differ by where they sample."""
    chance = np.random.default_rng(20_26)
    return Textures(billow=_tile(chance, slope=1.9), grain=_tile(chance, slope=0.75))


def sample(tile: Field, across: Field, down: Field) -> Field:
    """Look up a tile between its samples, wrapping around.

    Args:
        tile: TILE by TILE.
        across: column of each wanted sample, in tile samples, any real number.
        down: row of each wanted sample; broadcasts against `across`.
    """
    left, top = np.floor(across), np.floor(down)
    right_share = (across - left).astype(np.float32)
    lower_share = (down - top).astype(np.float32)
    columns = left.astype(np.int32) & WRAP
    rows = (top.astype(np.int32) & WRAP) * TILE
    next_columns = (columns + 1) & WRAP
    next_rows = (rows + TILE) & (TILE * TILE - 1)
    flat = tile.ravel()
    upper = flat[rows + columns] * (1 - right_share) + flat[rows + next_columns] * right_share
    lower = (
        flat[next_rows + columns] * (1 - right_share) + flat[next_rows + next_columns] * right_share
    )
    return upper + (lower - upper) * lower_share


def pick(tile: Field, across: Field, down: Field) -> Field:
    """Look up a tile at the nearest samples: rougher than `sample` and much cheaper."""
    columns = across.astype(np.int32) & WRAP
    rows = (down.astype(np.int32) & WRAP) * TILE
    return tile.ravel()[rows + columns]


def smoothstep(low: float, high: float, values: Field) -> Field:
    """Rise from 0 at `low` to 1 at `high` without a corner; `low` may be the larger one."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return (share * share * (3.0 - 2.0 * share)).astype(np.float32)


def _tile(chance: np.random.Generator, *, slope: float) -> Field:
    """Shape white noise in the frequency domain: amplitude falls as frequency ** -slope."""
    spectrum = np.fft.rfft2(chance.standard_normal((TILE, TILE)))
    down = np.fft.fftfreq(TILE)[:, None]
    across = np.fft.rfftfreq(TILE)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    shaped = np.fft.irfft2(spectrum / frequency**slope, s=(TILE, TILE))
    centred = (shaped - shaped.mean()) / shaped.std()
    return np.clip(0.5 + centred * 0.22, 0.0, 1.0).astype(np.float32)
