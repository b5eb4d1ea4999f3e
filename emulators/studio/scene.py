"""Read a prompt the way a painter would: which hour, weather, place, season and viewpoint.

The first word that names one of them decides; what the prompt leaves open is drawn by lot.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import numpy as np


class Hour(Enum):
    """Time of day."""

    DAWN = "dawn"
    NOON = "noon"
    DUSK = "dusk"
    NIGHT = "night"


class Weather(Enum):
    """What falls from the sky, or hangs in it."""

    SUNNY = "sunny"
    CLOUDY = "cloudy"
    RAINY = "rainy"
    SNOWY = "snowy"
    FOGGY = "foggy"


class Place(Enum):
    """What stands around the product."""

    URBAN = "urban"
    SUBURBAN = "suburban"
    RURAL = "rural"
    INDUSTRIAL = "industrial"
    COAST = "coast"
    MOUNTAIN = "mountain"


class Season(Enum):
    """The colour of leaves."""

    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"
    WINTER = "winter"


class Angle(Enum):
    """Where the camera is."""

    GROUND = "ground"
    ELEVATED = "elevated"
    AERIAL = "aerial"
    CLOSEUP = "closeup"


class Road(Enum):
    """What the road is made of."""

    ASPHALT = "asphalt"
    CEMENT = "cement"
    DIRT = "dirt"
    STONE = "stone"


C = TypeVar("C", bound=Enum)

AS_WEATHER = r"(?=,|\.|$| (?:sky|skies|day|weather|morning|dawn|noon|evening|dusk|night)\b)"
AS_MONTH = r"(?=,|\.|$| 20)"
WORDS: Mapping[Enum, str] = {
    Hour.DAWN: "dawn|morning|sunrise|daybreak",
    Hour.NOON: "noon|midday|daytime|daylight|afternoon",
    Hour.DUSK: "dusk|evening|sunset|twilight|golden hour|blue hour",
    Hour.NIGHT: "night|nighttime|midnight|nocturnal|moonlit|moonlight",
    Weather.SUNNY: rf"sunny|sunlit|cloudless|bright sky|clear{AS_WEATHER}",
    Weather.CLOUDY: "cloudy|overcast|clouds?|grey sky|gray sky",
    Weather.RAINY: "rainy|rain|raining|drizzle|wet|storm|stormy|thunderstorm|shower",
    Weather.SNOWY: "snowy|snow|snowing|snowfall|blizzard|frosty",
    Weather.FOGGY: "foggy|fog|mist|misty|haze|hazy",
    Place.URBAN: "urban|city|downtown|skyline|metropolis|skyscrapers?|plaza|boulevard",
    Place.SUBURBAN: "suburban|suburb|residential|houses|neighbou?rhood|village|town|courtyard",
    Place.RURAL: "rural|country|countryside|(?<!depth of )fields?|farm|farmland|meadow|hills?",
    Place.INDUSTRIAL: "industrial|factory|warehouse|power plant|refinery|harbou?r|docks",
    Place.COAST: "coast|coastal|beach|sea|seaside|ocean|shore|promenade|pier",
    Place.MOUNTAIN: "mountains?|mountainous|alpine|alps|peaks?|highland|valley|canyon",
    Season.SPRING: rf"spring|springtime|march|april|in may|may{AS_MONTH}|month [345]|blossoms?",
    Season.SUMMER: "summer|june|july|august|month [678]",
    Season.AUTUMN: "autumn|fall|september|october|november|month (?:9|10|11)",
    Season.WINTER: "winter|wintry|december|january|february|month (?:12|1|2)",
    Angle.GROUND: "ground|ground[- ]level|eye[- ]level|street[- ]level|low[- ]angle",
    Angle.ELEVATED: "elevated|raised|high[- ]angle|from above|balcony",
    Angle.AERIAL: "aerial|drone|bird'?s[- ]eye|birds[- ]eye|top[- ]down|overhead",
    Angle.CLOSEUP: "close-?up|close[- ]up|detail shot|macro|tight shot",
    Road.ASPHALT: "asphalt|tarmac|blacktop",
    Road.CEMENT: "cement|concrete",
    Road.DIRT: "dirt|gravel|earthen|unpaved|sand",
    Road.STONE: "stone|slab|slabs|cobbles?|cobblestone|paved",
}
PATTERNS = {meaning: re.compile(rf"\b(?:{words})\b") for meaning, words in WORDS.items()}
USUAL_ROADS = {Place.RURAL: Road.DIRT, Place.MOUNTAIN: Road.DIRT, Place.COAST: Road.STONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What to paint."""

    hour: Hour
    weather: Weather
    place: Place
    season: Season
    angle: Angle
    road: Road

    @property
    def is_dark(self) -> bool:
        """Tell whether it is night."""
        return self.hour is Hour.NIGHT

    @property
    def lamps_are_lit(self) -> bool:
        """Tell whether windows and lamps shine."""
        return self.hour in {Hour.NIGHT, Hour.DUSK}

    @property
    def is_white(self) -> bool:
        """Tell whether snow lies."""
        return self.weather is Weather.SNOWY


def read_scene(prompt: str, chance: np.random.Generator) -> Scene:
    """Read the scene that a prompt asks for.

    Args:
        prompt: any text; case does not matter.
        chance: decides what the prompt leaves open; drawn from the same number of times for every
            prompt, so that what the prompt names changes nothing else.
    """
    text = prompt.lower()
    hour = _named(text, Hour, chance)
    weather = _named(text, Weather, chance)
    place = _named(text, Place, chance)
    season = _named(text, Season, chance)
    angle = _named(text, Angle, chance)
    road = _first_named(text, Road) or USUAL_ROADS.get(place, Road.ASPHALT)
    return Scene(hour=hour, weather=weather, place=place, season=season, angle=angle, road=road)


def _named(text: str, choices: type[C], chance: np.random.Generator) -> C:
    drawn = list(choices)[int(chance.integers(len(choices)))]
    return _first_named(text, choices) or drawn


def _first_named(text: str, choices: type[C]) -> C | None:
    found = {choice: PATTERNS[choice].search(text) for choice in choices}
    named = {choice: match.start() for choice, match in found.items() if match}
    return min(named, key=lambda choice: named[choice]) if named else None
