"""`python -m tests [pytest arguments]`: pytest with an exit code that can be believed."""

import sys

import pytest

from darkroom.runtime.exits import leave

if __name__ == "__main__":
    leave(pytest.main(sys.argv[1:]))
