"""The picture in docs/differentiation.md: eight combinations, chosen by the engine.

`python -m tests.support.difference_picture` draws it again.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from darkroom.domain.difference import Combination, DifferenceRequest, DifferenceResult, Dimension
from tests.support.differences import chosen_by

PICTURE = Path(__file__).parents[2] / "docs" / "differentiation.svg"

# Source: providers.md 1.2.
DIMENSIONS = tuple(
    Dimension(name=name, options=tuple(options.split()))
    for name, options in {
        "time": "morning noon evening night",
        "weather": "sunny cloudy rainy snowy",
        "place": "urban suburban rural industrial",
        "angle": "ground elevated aerial closeup",
    }.items()
)
COUNT = 8
PER_LINE = 4
# Four tones that stay apart for most eyes, on white and in print.
TONES = ("#f2c14e", "#7fb7be", "#d3756b", "#5b6c9d")

FONT = 'font-family="sans-serif" font-size="13"'
CARD_WIDTH, CARD_HEIGHT, GAP, LINE = 176, 124, 16, 26
MARGIN = 24
WIDTH = 2 * MARGIN + PER_LINE * CARD_WIDTH + (PER_LINE - 1) * GAP
CARDS_BOTTOM = MARGIN + COUNT // PER_LINE * (CARD_HEIGHT + GAP)
HEIGHT = CARDS_BOTTOM + 48


def draw() -> str:
    """Draw eight cards, one a combination, a tone for each option."""
    result = chosen_by(DifferenceRequest(dimensions=DIMENSIONS, count=COUNT, min_difference=2))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        "<title>Eight combinations, any two of which differ in three of four dimensions</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for place, combination in enumerate(result.combinations):
        lines += _card(place, combination)
    lines += [
        f'<text x="{MARGIN}" y="{CARDS_BOTTOM + 20}" fill="#333333">{_caption(result)}</text>'
    ]
    return "\n".join([*lines, "</svg>", ""])


def _card(place: int, combination: Combination) -> Iterator[str]:
    left = MARGIN + place % PER_LINE * (CARD_WIDTH + GAP)
    top = MARGIN + place // PER_LINE * (CARD_HEIGHT + GAP)
    yield (
        f'<rect x="{left}" y="{top}" width="{CARD_WIDTH}" height="{CARD_HEIGHT}" rx="8"'
        ' fill="none" stroke="#999999"/>'
    )
    for row, (dimension, (name, option)) in enumerate(zip(DIMENSIONS, combination, strict=True)):
        tone, y = TONES[dimension.options.index(option)], top + 14 + row * LINE
        yield f'<rect x="{left + 12}" y="{y}" width="18" height="18" rx="4" fill="{tone}"/>'
        yield f'<text x="{left + 38}" y="{y + 14}" fill="#777777">{escape(name)}</text>'
        yield f'<text x="{left + 100}" y="{y + 14}" fill="#222222">{escape(option)}</text>'


def _caption(result: DifferenceResult) -> str:
    shown = Counter(pair for combination in result.combinations for pair in combination)
    (times,) = set(shown.values())
    reached, bound = result.certificate.achieved, result.certificate.bound
    return (
        f"Any two cards differ in at least {reached:g} of {len(DIMENSIONS)} rows; {COUNT} cards "
        f"cannot do better than {bound:g}. Every option is shown {times} times."
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
