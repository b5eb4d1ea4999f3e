"""Redraw what the pages show of the code: `make docs`, or `python -m tests.architecture.draw`."""

import sys

from tests.architecture.drawings import DRAWINGS
from tests.architecture.pages import read_page


def redraw() -> list[str]:
    """Bring every drawn part up to date.

    Returns:
        The parts that were stale, as `page: part`.
    """
    stale: list[str] = []
    for (path, name), draw in DRAWINGS.items():
        page = read_page(path)
        text = page.redrawn(name, draw())
        if text != page.text:
            path.write_text(text)
            stale.append(f"{page.place}: {name}")
    return stale


if __name__ == "__main__":
    changed = redraw()
    sys.stdout.write("".join(f"redrew {part}\n" for part in changed) or "nothing was stale\n")
