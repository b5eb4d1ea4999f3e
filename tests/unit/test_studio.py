"""The studio reads prompts as a painter would, repeats itself exactly, and keeps the product."""

import io
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from emulators.chat.embellish import FINISHES, LENSES, LIGHTS, MOODS, embellish
from emulators.sample_product import draw_sample_product
from emulators.studio import PictureOrder, Studio
from emulators.studio.cutout import cut_out
from emulators.studio.scene import (
    PATTERNS,
    Angle,
    Hour,
    Place,
    Road,
    Scene,
    Season,
    Weather,
    read_scene,
)

PLAIN = "a solar street lamp, noon, sunny, urban, summer, ground view"


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


def an_order(prompt: str = PLAIN, **changes: Any) -> PictureOrder:
    order = PictureOrder(prompt=prompt, seed="7", width=96, height=96, format="png")
    return replace(order, **changes)


def pixels_of(encoded: bytes) -> npt.NDArray[np.float32]:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=np.float32)


def difference(one: bytes, other: bytes) -> float:
    """Mean difference of two pictures, 0 to 255."""
    return float(np.abs(pixels_of(one) - pixels_of(other)).mean())


def read(prompt: str, lot: int = 1) -> Scene:
    return read_scene(prompt, np.random.default_rng(lot))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A lamp, morning, rainy, rural, aerial view", (Hour.DAWN, Weather.RAINY, Place.RURAL)),
        ("Lamp at noon under a clear sky downtown", (Hour.NOON, Weather.SUNNY, Place.URBAN)),
        ("Evening fog over a factory", (Hour.DUSK, Weather.FOGGY, Place.INDUSTRIAL)),
        ("light-rain night in a quiet village", (Hour.NIGHT, Weather.RAINY, Place.SUBURBAN)),
        ("overcast midday at the beach", (Hour.NOON, Weather.CLOUDY, Place.COAST)),
        ("SNOWY sunrise in the mountains", (Hour.DAWN, Weather.SNOWY, Place.MOUNTAIN)),
    ],
)
def test_prompt_names_hour_weather_and_place(
    prompt: str, expected: tuple[Hour, Weather, Place]
) -> None:
    """The everyday words of the product's templates are understood, in any case."""
    scene = read(prompt)

    assert (scene.hour, scene.weather, scene.place) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("ground-level view in May, in may", (Angle.GROUND, Season.SPRING)),
        ("elevated view, july", (Angle.ELEVATED, Season.SUMMER)),
        ("bird's-eye view, autumn", (Angle.AERIAL, Season.AUTUMN)),
        ("close-up, month 12", (Angle.CLOSEUP, Season.WINTER)),
    ],
)
def test_prompt_names_angle_and_season(prompt: str, expected: tuple[Angle, Season]) -> None:
    """Viewpoints and months are understood."""
    scene = read(prompt)

    assert (scene.angle, scene.season) == expected


def test_first_word_wins() -> None:
    """A sunny dusk with clouds to come stays a sunny dusk."""
    scene = read("sunny dusk, clouds gathering for the night")

    assert (scene.weather, scene.hour) == (Weather.SUNNY, Hour.DUSK)


def test_solar_street_lamp_names_no_scene() -> None:
    """The product's own name says nothing about sun or city: the lot decides."""
    scenes = {read("a solar street lamp", lot).place for lot in range(40)}

    assert len(scenes) > 3


def test_what_the_prompt_names_changes_nothing_else() -> None:
    """Naming the hour leaves the drawn weather, place and angle as they were."""
    open_scene, named = read("a lamp", 5), read("a lamp at night", 5)

    assert named.hour is Hour.NIGHT
    assert (named.weather, named.place) == (open_scene.weather, open_scene.place)
    assert (named.season, named.angle) == (open_scene.season, open_scene.angle)


def test_road_follows_the_place_unless_named() -> None:
    """Country roads are dirt; a named surface always wins."""
    assert read("a rural scene").road is Road.DIRT
    assert read("a rural scene with an asphalt road").road is Road.ASPHALT


@pytest.mark.parametrize("phrase", [*LIGHTS, *LENSES, *MOODS, *FINISHES])
def test_embellishment_names_no_scene(phrase: str) -> None:
    """Enriching a prompt must not move its scene to another hour or place."""
    assert [meaning for meaning, words in PATTERNS.items() if words.search(phrase)] == []


def test_enriched_prompt_keeps_its_scene() -> None:
    """What the chat emulator makes of a prompt is painted as the same scene."""
    prompt = "A lamp, evening, foggy, industrial, elevated view, winter, cement road"

    assert read(embellish(prompt, seed="7", temperature=1.5)) == read(prompt)


def test_equal_orders_give_equal_bytes() -> None:
    """Nothing but the order shapes a picture: not the studio, not what was drawn before."""
    fresh, used = Studio(), Studio()
    used.draw(an_order("something else, night, rainy"))

    assert fresh.draw(an_order()) == used.draw(an_order())


@pytest.mark.parametrize("choices", [Hour, Weather, Place, Angle], ids=lambda kind: kind.__name__)
def test_each_choice_of_a_dimension_is_visible(
    studio: Studio, choices: type[Hour] | type[Weather] | type[Place] | type[Angle]
) -> None:
    """Any two values of a dimension make clearly different pictures."""
    pictures = [studio.draw(an_order(f"a lamp, {choice.value}, {PLAIN}")) for choice in choices]

    for one, other in combinations(pictures, 2):
        assert difference(one, other) > 12


def test_another_wording_of_the_same_scene_is_another_picture(studio: Studio) -> None:
    """A redo with a changed variation must not come out alike."""
    one = studio.draw(an_order(PLAIN))
    other = studio.draw(an_order(f"{PLAIN}, variation 2"))

    assert difference(one, other) > 6


def test_night_is_darker_than_noon_and_the_lamp_lights_its_ground(studio: Studio) -> None:
    """At night the brightest part of the ground is brighter than the rest by far."""
    noon = pixels_of(studio.draw(an_order("noon, sunny, rural, ground view")))
    night = pixels_of(studio.draw(an_order("night, cloudy, rural, ground view")))

    assert night.mean() < noon.mean() / 2
    ground = night[-14:].mean(axis=(0, 2))
    assert ground.max() > 1.6 * np.median(ground)


def test_snow_whitens_the_ground(studio: Studio) -> None:
    """Snow lies: the ground of a snowy field is brighter and greyer than a summer one."""
    summer = pixels_of(studio.draw(an_order("noon, sunny, rural, summer, ground")))[-12:]
    snowy = pixels_of(studio.draw(an_order("noon, snowy, rural, summer, ground")))[-12:]

    assert snowy.mean() > summer.mean() + 30
    assert np.ptp(snowy.mean(axis=(0, 1))) < np.ptp(summer.mean(axis=(0, 1)))


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("jpg", b"\xff\xd8\xff")])
def test_format_and_size_are_as_ordered(studio: Studio, kind: str, magic: bytes) -> None:
    """Wide and narrow pictures come out in the ordered size and format."""
    for width, height in ((160, 72), (48, 112), (16, 16)):
        drawn = studio.draw(an_order(width=width, height=height, format=kind))

        assert drawn.startswith(magic)
        assert Image.open(io.BytesIO(drawn)).size == (width, height)


def test_picture_larger_than_the_studio_draws_is_enlarged(studio: Studio) -> None:
    """A 4K order is met without painting sixteen million pixels."""
    drawn = studio.draw(an_order(width=2304, height=64, format="jpg"))

    assert Image.open(io.BytesIO(drawn)).size == (2304, 64)


def test_product_photo_is_what_the_picture_shows(studio: Studio) -> None:
    """A magenta product on white leaves magenta in the picture, and no white card around it."""
    photo = Image.new("RGB", (200, 400), "white")
    ImageDraw.Draw(photo).rectangle((70, 60, 130, 380), fill=(230, 0, 200))

    picture = pixels_of(studio.draw(an_order(photo=encoded(photo), width=128, height=128)))

    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    is_magenta = (red > green + 60) & (blue > green + 60)
    assert 0.01 < is_magenta.mean() < 0.3
    assert (picture.min(axis=2) > 250).mean() < 0.1


def test_plain_backdrop_is_cut_away_and_the_product_stays() -> None:
    """Of the sample photo its backdrop and floor shadow go, its grey pole does not."""
    cutout = cut_out(draw_sample_product())

    alpha = np.asarray(cutout.sizes[0].getchannel("A"))
    height, width = alpha.shape
    assert height / width == pytest.approx(2.1, abs=0.2)
    assert alpha[:, 0].mean() < 40
    pole = alpha[height // 2 : -40, round(cutout.foot_at * width)]
    assert pole.min() > 240
    assert alpha[height // 2 : -60, round(width * 0.7) :].max() < 30


def test_light_is_found_in_the_head_of_the_lamp() -> None:
    """The head of the sample lamp hangs to the right of its pole, near the top."""
    cutout = cut_out(draw_sample_product())

    across, down = cutout.light_at
    assert across > cutout.foot_at + 0.25
    assert down < 0.25


def test_photo_with_alpha_keeps_its_own_outline() -> None:
    """A cut-out product is not cut again, even where it is white."""
    photo = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ImageDraw.Draw(photo).ellipse((20, 20, 80, 80), fill=(255, 255, 255, 255))

    cutout = cut_out(encoded(photo))

    assert cutout.sizes[0].size == (61, 61)
    assert cutout.sizes[0].getpixel((30, 30)) == (255, 255, 255, 255)


def test_photo_without_a_plain_backdrop_stays_whole() -> None:
    """Where nothing can be cut out, the whole photo is the product."""
    noise = np.random.default_rng(3).integers(0, 255, (60, 60, 3), dtype=np.uint8)

    cutout = cut_out(encoded(Image.fromarray(noise)))

    assert cutout.sizes[0].size == (60, 60)
    assert np.asarray(cutout.sizes[0].getchannel("A")).min() == 255


def test_sample_product_is_a_photo_without_alpha() -> None:
    """The demo uploads it as a camera would have taken it; it never changes."""
    photo = Image.open(io.BytesIO(draw_sample_product()))

    assert (photo.format, photo.mode, photo.size) == ("PNG", "RGB", (1024, 1024))
    assert draw_sample_product() == draw_sample_product()
