"""What a call costs: DeepSeek by the token and the hour, pictures by the picture.

The providers publish these and change them monthly; autumn 2026 figures. The product reads its own
table from configuration, so a bill can be compared, not assumed.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

MICROS_PER_CREDIT = 5_000  # 24 credits are sold at about 0.12 dollars
SATURDAY = 5  # datetime.weekday()
PEAK_UTC_HOURS = frozenset({1, 2, 3, 6, 7, 8, 9})  # Beijing 09-12 and 14-18; holidays left out


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """Off-peak dollars per million tokens, that is micro-dollars per token; peak is double."""

    hit: Fraction
    miss: Fraction
    output: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one chat: the prompt's cached and uncached part, and everything written."""

    hit: int
    miss: int
    output: int
    reasoning: int = 0  # the part of `output` that was thinking

    @property
    def total(self) -> int:
        """All tokens of the call."""
        return self.hit + self.miss + self.output


FLASH = TokenPrices(hit=Fraction("0.003"), miss=Fraction("0.15"), output=Fraction("0.60"))
PRO = TokenPrices(hit=Fraction("0.022"), miss=Fraction("0.66"), output=Fraction("1.98"))
CHAT_PRICES = {"deepseek-flash": FLASH, "deepseek-v4-flash": FLASH, "deepseek-v4-pro": PRO}

# 1K nano-banana and 2K pro are published; the other sizes keep Gemini's proportions between sizes.
PICTURE_CREDITS = {
    "nano-banana": {"1K": 4, "2K": 6, "4K": 9},
    "nano-banana-2": {"1K": 4, "2K": 6, "4K": 9},
    "nano-banana-pro": {"1K": 24, "2K": 24, "4K": 43},
}

# Micro-dollars a picture. Not published for every size; where only a reseller's price is known,
# it is that one. Gemini sells output tokens, and a picture has a fixed number of them.
GEMINI_PRICES = {
    "gemini-nano-banana-2.1": {"1K": 33_600, "2K": 67_000, "4K": 134_000},
    "gemini-3.1-flash-image": {"512": 45_000, "1K": 67_000, "2K": 101_000, "4K": 151_000},
    "gemini-3-pro-image": {"1K": 134_000, "2K": 134_000, "4K": 240_000},
}
GEMINI_TOKENS = {"512": 747, "1K": 1120, "2K": 1680, "4K": 2520}


def chat_price_micros(model: str, usage: Usage, at: datetime) -> int:
    """Price one chat, rounded up to a whole micro-dollar.

    Args:
        model: a key of CHAT_PRICES.
        usage: its tokens.
        at: aware UTC; working days have peak hours at double price.
    """
    prices = CHAT_PRICES[model]
    off_peak = usage.hit * prices.hit + usage.miss * prices.miss + usage.output * prices.output
    exact = off_peak * (2 if is_peak(at) else 1)
    return -(-exact.numerator // exact.denominator)


def is_peak(at: datetime) -> bool:
    """Tell whether a UTC moment falls into Beijing's working hours."""
    return at.weekday() < SATURDAY and at.hour in PEAK_UTC_HOURS


def picture_credits(model: str, resolution: str, count: int) -> int:
    """Price `count` pictures in credits."""
    return PICTURE_CREDITS[model][resolution] * count
