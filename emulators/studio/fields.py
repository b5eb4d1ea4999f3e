"""What the painters compute with: numbers laid out as a picture is."""

from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating[Any]]  # rows, columns
Pixels = npt.NDArray[np.floating[Any]]  # rows, columns, red-green-blue from 0 to 1
Mask = npt.NDArray[np.bool_]  # rows, columns
