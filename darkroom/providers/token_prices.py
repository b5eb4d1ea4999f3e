"""What a chat costs: by the token, by the date and by the hour."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal

SATURDAY = 5  # datetime.weekday()
# Beijing's working hours 09-12 and 14-18; the UTC date is the same there. Source: providers.md 2.7.
PEAK_UTC_HOURS = frozenset({1, 2, 3, 6, 7, 8, 9})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one call: the prompt's cached and uncached part, and everything written."""

    hit_count: int
    miss_count: int
    output_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """Off-peak dollars per million tokens of one model from one day on.

    A dollar per million tokens is a micro-dollar per token.
    """

    model: str
    valid_from: date
    hit: Decimal
    miss: Decimal
    output: Decimal
    peak_factor: Decimal = Decimal(2)
    free_days: frozenset[date] = frozenset()  # working days without peak hours: holidays

    def cost_micros(self, usage: TokenUsage, at: datetime) -> int:
        """Price one call, rounded up once to a whole micro-dollar.

        Args:
            usage: its tokens.
            at: aware UTC.
        """
        exact = (
            usage.hit_count * self.hit
            + usage.miss_count * self.miss
            + usage.output_count * self.output
        )
        factor = self.peak_factor if self._is_peak(at) else Decimal(1)
        return int((exact * factor).to_integral_value(rounding=ROUND_CEILING))

    def _is_peak(self, at: datetime) -> bool:
        is_working_day = at.weekday() < SATURDAY and at.date() not in self.free_days
        return is_working_day and at.hour in PEAK_UTC_HOURS


def prices_at(table: Iterable[TokenPrices], *, model: str, at: datetime) -> TokenPrices:
    """Find the entry of a model that holds at a moment: the latest that has begun, else the first.

    Raises:
        ValueError: the table has no entry of that model.
    """
    entries = sorted(
        (entry for entry in table if entry.model == model), key=lambda entry: entry.valid_from
    )
    if not entries:
        raise ValueError(f"no token prices for model {model}: add an entry to the price table")
    begun = [entry for entry in entries if entry.valid_from <= at.date()]
    return begun[-1] if begun else entries[0]
