"""What each paid provider draws, as far as this house may order it.

A provider is on offer when it has a key; models and sizes are those that have a price. What
remains are a few facts about models, which no price table tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.settings import Settings
from gateway.schemas import MOST_PHOTOS

# Source: providers.md 3.1 and 3.2. Without a ratio, auto, the model chooses.
RATIOS = ("auto", "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
LONG_RATIOS = ("1:4", "4:1", "1:8", "8:1")
WITHOUT_LONG_RATIOS = frozenset({"nano-banana-pro", "gemini-3-pro-image"})
FEWER_PHOTOS = {"nano-banana-pro": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One provider's models; prices by (model, size), in micro-units of USD."""

    default_model: str
    prices: Mapping[tuple[str, str], int]

    @property
    def models(self) -> tuple[str, ...]:
        """Models that may be ordered, by name."""
        return tuple(sorted({model for model, _ in self.prices}))

    def sizes(self, model: str) -> tuple[str, ...]:
        """Sizes in which a model draws."""
        return tuple(sorted(size for name, size in self.prices if name == model))

    def ratios(self, model: str) -> tuple[str, ...]:
        """Ratios in which a model draws."""
        return RATIOS if model in WITHOUT_LONG_RATIOS else RATIOS + LONG_RATIOS

    def most_photos(self, model: str) -> int:
        """Count the product photos that a model takes at most."""
        return FEWER_PHOTOS.get(model, MOST_PHOTOS)


def offers(settings: Settings) -> dict[str, Offer]:
    """List what is on offer, by provider."""
    defaults = {"nanobanana": settings.nanobanana_model, "gemini": settings.gemini_model}
    return {
        provider: Offer(default_model=defaults[provider], prices=prices)
        for provider, prices in settings.picture_prices().items()
    }
