"""Enrich a picture prompt with light, lens and mood, the same way each time for the same seed.

The words never name an hour, a weather, a place or a season: the caller's scene stays the scene.
"""

import random

LIGHTS = (
    "soft directional light",
    "light wrapping gently around the product",
    "crisp natural light with open shadows",
    "low contrast light with a delicate rim",
    "balanced ambient light, true colours",
    "a quiet glow on the metal edges",
)
LENSES = (
    "35 mm lens, f/5.6",
    "50 mm prime, f/4",
    "85 mm lens, shallow depth of field",
    "24 mm lens, straight verticals",
    "medium format, deep focus",
    "70 mm lens, slight compression",
)
MOODS = (
    "calm and dependable mood",
    "quietly optimistic mood",
    "clean editorial mood",
    "inviting, lived-in atmosphere",
    "confident catalogue look",
    "unhurried, spacious feeling",
)
FINISHES = (
    "subtle film grain",
    "rich but restrained colour",
    "fine surface detail",
    "clear separation from the background",
    "composition on the thirds",
    "no text, no watermark",
)
BOLDNESS_STEP = 0.5  # one more kind of words for each such step of temperature


def embellish(text: str, *, seed: str, temperature: float) -> str:
    """Add one to four phrases to a prompt; the higher the temperature, the more.

    Args:
        text: the prompt.
        seed: what makes this answer differ from another one for the same prompt.
        temperature: 0 to 2.
    """
    chance = random.Random(f"{seed}/{text}")  # noqa: S311  (a seeded choice of words, no secret)
    kinds = (LIGHTS, LENSES, MOODS, FINISHES)[: 1 + int(temperature / BOLDNESS_STEP)]
    phrases = ", ".join(chance.choice(kind) for kind in kinds)
    return f"{text.rstrip(' .,;')}, {phrases}"
