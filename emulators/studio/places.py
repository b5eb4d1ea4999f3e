"""What stands where: the buildings and plants of each place, drawn from the far to the near."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from emulators.studio.brush import Brush
from emulators.studio.buildings import Block, Builder
from emulators.studio.ground import PAVEMENT_METRES, ROAD_HALF_METRES, road_middle
from emulators.studio.palette import Colour
from emulators.studio.plants import Gardener
from emulators.studio.scene import Angle, Place
from emulators.studio.setting import Setting

WORTH_ROWS_FROM_PIXELS = 200  # smaller pictures do without a second row of houses
SKYLINE_METRES = 260  # where a city's streets end and its skyline begins
HILLS_METRES = 190  # where a suburb ends
LEAST_LAMP_PIXELS = 5.0  # smaller lamps are left out
Draw = Callable[[], None]
Prop = tuple[float, Draw]  # metres away, how to draw it

FACADES: tuple[Colour, ...] = (
    (0.72, 0.66, 0.60),
    (0.58, 0.61, 0.66),
    (0.80, 0.76, 0.70),
    (0.66, 0.52, 0.45),
    (0.52, 0.57, 0.63),
    (0.75, 0.71, 0.73),
)
HOUSE_WALLS: tuple[Colour, ...] = (
    (0.93, 0.89, 0.81),
    (0.83, 0.87, 0.89),
    (0.91, 0.83, 0.74),
    (0.82, 0.77, 0.72),
    (0.95, 0.94, 0.92),
)
ROOFS: tuple[Colour, ...] = ((0.60, 0.32, 0.25), (0.36, 0.38, 0.43), (0.52, 0.40, 0.32))
HALLS: tuple[Colour, ...] = ((0.62, 0.66, 0.69), (0.70, 0.56, 0.48), (0.58, 0.61, 0.58))


def props_of(setting: Setting, brush: Brush, *, light_from: float) -> list[Prop]:
    """List what stands in a scene, the farthest first.

    Args:
        setting: the scene.
        brush: what to draw with.
        light_from: -1 when the sun is on the left, else 1.
    """
    stage = Stage(
        setting=setting,
        builder=Builder(brush=brush, scene=setting.scene, chance=setting.chance),
        gardener=Gardener(
            brush=brush, scene=setting.scene, chance=setting.chance, light_from=light_from
        ),
        street=road_middle(setting),
    )
    fill = {
        Place.URBAN: stage.city,
        Place.SUBURBAN: stage.suburb,
        Place.RURAL: stage.farmland,
        Place.INDUSTRIAL: stage.works,
        Place.COAST: stage.shore,
        Place.MOUNTAIN: stage.highland,
    }[setting.scene.place]
    return sorted(fill(), key=lambda prop: -prop[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One scene's stage; `street` is the middle of the road in metres."""

    setting: Setting
    builder: Builder
    gardener: Gardener
    street: float

    def city(self) -> Iterator[Prop]:
        """Towers far away, streets of houses nearer, trees along the pavement."""
        yield from self._lamps(first=44.0, every=22.0)
        for _ in range(34):
            yield self._tower(z=self._lot(320, 620), height=self._lot(35, 150), reach=520.0)
        for side in (-1, 1):
            z = self._lot(26, 36) if self._sees_far else self._lot(30, 44)
            while z < SKYLINE_METRES:
                width, height = self._lot(11, 20), self._lot(12, 34)
                yield self._terrace(side, z, width, height)
                if self._sees_far:
                    yield self._terrace(side, z, width, height * 0.8, back=26.0)
                    yield self._terrace(side, z, width, height * 1.1, back=54.0)
                z += width + self._lot(0.5, 5)
            yield from self._avenue(side, first=14.0, every=13.0, last=120.0)

    def suburb(self) -> Iterator[Prop]:
        """Houses with gardens on both sides."""
        yield from self._lamps(first=40.0, every=24.0)
        for side in (-1, 1):
            z = self._lot(17, 24)
            while z < HILLS_METRES:
                yield from self._garden(side, z, back=0.0)
                if self._sees_far:
                    yield from self._garden(side, z + 3, back=24.0)
                    yield from self._garden(side, z + 6, back=48.0)
                z += self._lot(15, 21)
        yield from self._grove(count=40, nearest=70, farthest=260)

    def farmland(self) -> Iterator[Prop]:
        """Trees in groups, a barn, a fence, now and then a wind turbine."""
        yield from self._grove(count=46, nearest=55, farthest=270)
        yield from self._barn()
        for _ in range(int(self.setting.chance.integers(0, 4))):
            yield self._turbine(self._off_road(24, 160), self._lot(180, 300))
        yield from self._fence()
        for _ in range(4):
            x, z, height = self._off_road(6, 26), self._lot(22, 60), self._lot(4.5, 9)
            yield z, lambda x=x, z=z, height=height: self.gardener.tree(x, z, height)

    def works(self) -> Iterator[Prop]:
        """Halls, chimneys with smoke, tanks and pylons."""
        drift = self.setting.side * -1.0
        yield from self._lamps(first=40.0, every=26.0)
        for _ in range(9):
            yield self._hall(z=self._lot(90, 240), reach=150.0)
        for side in (-1, 1):
            yield self._hall(z=self._lot(34, 60), reach=0.0, side=side)
        for _ in range(4):
            x, z, height = self._off_road(16, 110), self._lot(90, 230), self._lot(38, 70)
            yield z, lambda x=x, z=z, height=height: self._smoking(x, z, height, drift)
        for _ in range(5):
            x, z = self._off_road(14, 70), self._lot(50, 140)
            radius, height = self._lot(4, 8), self._lot(7, 15)
            yield z, lambda x=x, z=z, r=radius, h=height: self.builder.tank(x, z, r, h)

    def shore(self) -> Iterator[Prop]:
        """Palms along the promenade, lamps between them, sails on the water."""
        yield from self._lamps(first=40.0, every=26.0)
        yield from self._sails()
        for side in (-1, 1):
            for z in np.arange(self._lot(13, 20), 110, self._lot(11, 16)):
                x = self.street + side * (ROAD_HALF_METRES + self._lot(2.8, 4.2))
                height = self._lot(6.5, 10)
                yield float(z), lambda x=x, z=float(z), h=height: self.gardener.palm(x, z, h)

    def highland(self) -> Iterator[Prop]:
        """Pines on both sides, denser with distance."""
        for _ in range(90):
            x, z = self._off_road(5, 120), 18 + 170 * self.setting.between(0, 1) ** 0.8
            height = self._lot(7, 16)
            yield z, lambda x=x, z=z, height=height: self.gardener.pine(x, z, height)

    @property
    def _sees_far(self) -> bool:
        is_high = self.setting.scene.angle in {Angle.AERIAL, Angle.ELEVATED}
        return is_high and self.setting.camera.height >= WORTH_ROWS_FROM_PIXELS

    def _lot(self, low: float, high: float) -> float:
        return self.setting.between(low, high)

    def _lamps(self, *, first: float, every: float) -> Iterator[Prop]:
        """Small lamps of other makers along the road, lit when it is dark."""
        brush = self.builder.brush
        last = min(200.0, first * brush.pixels_of(6.0, first) / LEAST_LAMP_PIXELS)
        for z in np.arange(first, last, every):
            for side in (-1, 1):
                x = self.street + side * (ROAD_HALF_METRES + 0.7)
                yield float(z), lambda x=x, z=float(z): self._lamp(brush, x, z)

    def _lamp(self, brush: Brush, x: float, z: float) -> None:
        brush.stroke((x, 0.0, z), (x, 6.0, z), (0.36, 0.38, 0.41), metres=0.14)
        if self.setting.scene.lamps_are_lit:
            brush.lamp_glow((x, 6.1, z), brush.palette.window, 0.28)

    def _pick(self, colours: tuple[Colour, ...]) -> Colour:
        return colours[int(self.setting.chance.integers(len(colours)))]

    def _off_road(self, nearest: float, farthest: float) -> float:
        side = int(self.setting.chance.choice((-1, 1)))
        return self.street + side * self._lot(nearest + ROAD_HALF_METRES, farthest)

    def _tower(self, *, z: float, height: float, reach: float) -> Prop:
        block = Block(
            x=self._lot(-reach, reach) * 0.6,
            z=z,
            width=self._lot(18, 42),
            depth=20.0,
            height=height,
            colour=self._pick(FACADES),
        )
        return z, lambda: self.builder.tower(block)

    def _terrace(
        self, side: int, z: float, width: float, height: float, *, back: float = 0.0
    ) -> Prop:
        edge = self.street + side * (ROAD_HALF_METRES + PAVEMENT_METRES + 2.0 + back)
        span = self._lot(14, 22)
        block = Block(
            x=edge if side > 0 else edge - span,
            z=z,
            width=span,
            depth=width,
            height=height,
            colour=self._pick(FACADES),
        )
        return z, lambda: self.builder.tower(block)

    def _avenue(self, side: int, *, first: float, every: float, last: float) -> Iterator[Prop]:
        x = self.street + side * (ROAD_HALF_METRES + 1.9)
        for z in np.arange(first + self._lot(0, 6), last, every):
            height = self._lot(4.2, 6.5)
            yield float(z), lambda z=float(z), height=height: self.gardener.tree(x, z, height)

    def _garden(self, side: int, z: float, *, back: float) -> Iterator[Prop]:
        edge = self.street + side * (ROAD_HALF_METRES + self._lot(5.5, 8) + back)
        width, roof = self._lot(8, 11), self._pick(ROOFS)
        block = Block(
            x=edge if side > 0 else edge - width,
            z=z,
            width=width,
            depth=self._lot(7, 10),
            height=self._lot(3.2, 6.0),
            colour=self._pick(HOUSE_WALLS),
        )
        yield z, lambda: self.builder.house(block, roof)
        hedge = sorted((edge - side * 2.6, edge + side * 10))
        yield z - 4, lambda: self.gardener.hedge(hedge[0], hedge[1], z - 4, 1.0)
        x, height = edge + side * self._lot(-2.5, 13), self._lot(5, 9)
        yield z - 2, lambda: self.gardener.tree(x, z - 2, height)

    def _grove(self, *, count: int, nearest: float, farthest: float) -> Iterator[Prop]:
        centres = [(self._off_road(8, 130), self._lot(nearest, farthest)) for _ in range(8)]
        for place in range(count):
            centre_x, centre_z = centres[place % len(centres)]
            x, z = centre_x + self._lot(-12, 12), max(nearest, centre_z + self._lot(-9, 9))
            height = self._lot(6, 12)
            yield z, lambda x=x, z=z, height=height: self.gardener.tree(x, z, height)

    def _barn(self) -> Iterator[Prop]:
        z = self._lot(60, 110)
        block = Block(
            x=self._off_road(12, 34),
            z=z,
            width=self._lot(10, 13),
            depth=12.0,
            height=5.5,
            colour=self._pick(((0.62, 0.26, 0.21), (0.86, 0.83, 0.76))),
        )
        yield z, lambda: self.builder.house(block, (0.42, 0.36, 0.34))

    def _fence(self) -> Iterator[Prop]:
        brush, wood = self.builder.brush, (0.60, 0.52, 0.43)
        x = self.street - self.setting.side * (ROAD_HALF_METRES + 2.4)
        posts = [float(z) for z in np.arange(9.0, 90.0, 3.0)]
        for z in posts:
            yield z, lambda z=z: brush.stroke((x, 0.0, z), (x, 1.15, z), wood, metres=0.13)
            for rail in (0.5, 0.95):
                yield (
                    z,
                    lambda z=z, r=rail: brush.stroke((x, r, z + 3), (x, r, z), wood, metres=0.08),
                )

    def _turbine(self, x: float, z: float) -> Prop:
        brush, white = self.builder.brush, (0.95, 0.95, 0.96)
        turn, hub = self._lot(0, 2.09), 46.0

        def draw() -> None:
            brush.stroke((x, 0.0, z), (x, hub, z), white, metres=1.3)
            for blade in range(3):
                angle = turn + blade * 2 * np.pi / 3
                tip = (x + 24 * float(np.cos(angle)), hub + 24 * float(np.sin(angle)), z)
                brush.stroke((x, hub, z), tip, white, metres=0.9)

        return z, draw

    def _sails(self) -> Iterator[Prop]:
        brush = self.builder.brush
        for _ in range(4):
            x = self.street - self.setting.side * self._lot(30, 130)
            yield (z := self._lot(110, 250)), lambda x=x, z=z: _sail(brush, x, z)

    def _hall(self, *, z: float, reach: float, side: int | None = None) -> Prop:
        width = self._lot(22, 46)
        edge = self._lot(-reach, reach) * 0.7
        if side is not None:
            edge = self.street + side * (ROAD_HALF_METRES + 7)
        block = Block(
            x=edge if edge > 0 else edge - width,
            z=z,
            width=width,
            depth=24.0,
            height=self._lot(7, 13),
            colour=self._pick(HALLS),
        )
        return z, lambda: self.builder.hall(block)

    def _smoking(self, x: float, z: float, height: float, drift: float) -> None:
        self.builder.smoke(x, z, height, drift)
        self.builder.chimney(x, z, height)


def _sail(brush: Brush, x: float, z: float) -> None:
    brush.face(
        [(x - 2.2, 0.9, z), (x + 2.4, 0.9, z), (x + 1.6, 0.0, z), (x - 1.6, 0.0, z)],
        (0.45, 0.32, 0.26),
    )
    brush.face([(x, 9.0, z), (x, 1.3, z), (x + 3.2, 1.3, z)], (0.98, 0.97, 0.95))
    brush.face([(x - 0.25, 8.2, z), (x - 0.25, 1.3, z), (x - 2.0, 1.3, z)], (0.90, 0.89, 0.90))
