"""A detector that sees what a test wants it to see."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botsite.sqs import FairThreads
from detection.model.detector import FLOOR
from detection.model.yolo import Model
from detection.record.schemas import LEAST, Detection


@dataclass
class Seeing:
    """It looks at an image with a function of the test's."""

    look: Callable[..., list[Detection]]
    labels: dict[int, str] = field(default_factory=dict)
    confidence: float = LEAST
    at_once: int = 1

    def predict(self, image: Any, least: float = FLOOR) -> list[Detection]:
        """Return what the function does."""
        return self.look(image, least)

    @property
    def model(self) -> Model:
        """Return a loaded model of it."""
        return Model("test", self, FairThreads(1, "model"), FairThreads(1, "decoding"))
