"""`python -m tests [pytest arguments]`: pytest with an exit code that can be believed.

Without a path every test runs but the chaos suite, of which only the quickest part comes along;
`python -m tests tests/chaos` runs all of that.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from darkroom.runtime.exits import leave

CHAOS = Path("tests/chaos")
QUICK = frozenset({"test_killed_workers.py"})  # what no change may land without


def arguments_of(words: Sequence[str]) -> list[str]:
    """Leave the long part of chaos out, unless somebody says by path what to run."""
    if any(Path(word.partition("::")[0]).exists() for word in words):
        return list(words)
    long = [path for path in sorted(CHAOS.glob("test_*.py")) if path.name not in QUICK]
    return [*words, *(f"--ignore={path}" for path in long)]


if __name__ == "__main__":
    leave(pytest.main(arguments_of(sys.argv[1:])))
