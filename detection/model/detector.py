"""Define what the worker needs from a model of any family.

A family is a module that recognises the models it can run, and loads them (yolo.py lists the families).
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detection.record.schemas import Detection

# Least confidence of what is found: most of it is not shown, but somebody may ask for it.
FLOOR = 0.1
# ultralytics' default.
BOXES_AT_MOST = 300


class Detector(Protocol):
    """A loaded model, warmed up."""

    @property
    def labels(self) -> dict[int, str]:
        """Return what it knows, by its own numbers."""

    @property
    def confidence(self) -> float:
        """Return from which confidence on it is shown, unless somebody asks for another."""

    @property
    def at_once(self) -> int:
        """Return how many photos it processes at once, each on a thread of its caller."""

    def predict(self, image: NDArray[np.uint8], least: float = FLOOR) -> list[Detection]:
        """Return what is in a (height, width, 3) BGR image with more confidence than the least, surest first."""


class Family(Protocol):
    """A module for models of one kind."""

    def runs(self, path: Path) -> bool:
        """Return whether the path is such a model, by what it says of itself."""

    def load(self, path: Path) -> Detector:
        """Load the model at the path, and warm it up."""
