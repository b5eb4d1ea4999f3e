"""What tokens cost, by date and by hour."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from darkroom.providers.token_prices import TokenPrices, TokenUsage, prices_at

AUTUMN = TokenPrices(
    model="deepseek-flash",
    valid_from=date(2026, 10, 17),
    hit=Decimal("0.003"),
    miss=Decimal("0.15"),
    output=Decimal("0.60"),
)
CHEAPER = replace(AUTUMN, valid_from=date(2026, 12, 1), output=Decimal("0.30"))
OTHER = replace(AUTUMN, model="deepseek-v4-pro", valid_from=date(2027, 1, 1))
TABLE = (CHEAPER, OTHER, AUTUMN)
USAGE = TokenUsage(hit_count=1000, miss_count=100, output_count=10)  # 3 + 15 + 6 micro-dollars
TUESDAY = datetime(2026, 11, 24, 5, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hour", "micros"),
    [(0, 24), (1, 48), (3, 48), (4, 24), (5, 24), (6, 48), (9, 48), (10, 24), (23, 24)],
)
def test_peak_hours_cost_double(hour: int, micros: int) -> None:
    """They are Beijing's working hours, 01-04 and 06-10 in UTC."""
    assert AUTUMN.cost_micros(USAGE, TUESDAY.replace(hour=hour)) == micros


@pytest.mark.parametrize("day", [21, 22])
def test_a_weekend_has_no_peak(day: int) -> None:
    """Saturday and Sunday are off-peak all day."""
    assert AUTUMN.cost_micros(USAGE, TUESDAY.replace(day=day, hour=2)) == 24


def test_a_holiday_has_no_peak() -> None:
    """Holidays are listed, because no calendar is built in."""
    prices = replace(AUTUMN, free_days=frozenset({TUESDAY.date()}))

    assert prices.cost_micros(USAGE, TUESDAY.replace(hour=2)) == 24


def test_a_started_micro_dollar_counts_once_a_call() -> None:
    """Never too little, and never once per kind of token."""
    usage = TokenUsage(hit_count=1, miss_count=1, output_count=1)  # 0.753 micro-dollars

    assert AUTUMN.cost_micros(usage, TUESDAY) == 1
    assert AUTUMN.cost_micros(TokenUsage(hit_count=0, miss_count=0, output_count=0), TUESDAY) == 0


@pytest.mark.parametrize(
    ("at", "entry"),
    [
        (TUESDAY, AUTUMN),
        (datetime(2026, 12, 1, tzinfo=UTC), CHEAPER),
        (datetime(2030, 1, 1, tzinfo=UTC), CHEAPER),
        (datetime(2020, 1, 1, tzinfo=UTC), AUTUMN),
    ],
)
def test_the_latest_price_that_has_begun_holds(at: datetime, entry: TokenPrices) -> None:
    """Before the first one begins, the first one holds all the same."""
    assert prices_at(TABLE, model="deepseek-flash", at=at) == entry


def test_a_model_without_a_price_is_named() -> None:
    """The remedy is an entry in the table."""
    with pytest.raises(ValueError, match="deepseek-v9"):
        prices_at(TABLE, model="deepseek-v9", at=TUESDAY)
