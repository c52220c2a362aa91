"""What a load test is asked to do: its options, when each photo is sent, and what is remembered of each photo."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detection.record.schemas import Delivery, Prediction, Status
from metrics.backlog import BadSetting
from metrics.simulator import arrivals


class LoadTestError(Exception):
    """The load test cannot run; the text says what is wrong and what to do."""


def burst(photos: int, rate: float) -> list[float]:
    """Return the same moment for all photos, whatever the rate."""
    return [0.0] * photos


def constant(photos: int, rate: float) -> list[float]:
    """Return evenly spaced moments, `rate` a second."""
    return [number / rate for number in range(photos)]


def wave(photos: int, rate: float) -> list[float]:
    """Return moments that start slowly, reach twice the rate in the middle and slow down again: `rate` on average."""
    length = photos / rate
    at = np.linspace(0, length, 10 * photos + 1)
    # The integral of 1 - cos: how many photos have been sent by then.
    sent = rate * (at - length / math.tau * np.sin(math.tau * at / length))
    moments: list[float] = np.interp(np.arange(photos) + 0.5, sent, at).tolist()
    return moments


SHAPES: Mapping[str, Callable[[int, float], list[float]]] = {"burst": burst, "constant": constant, "wave": wave}


def trace(file: Path) -> list[float]:
    """Return the moments in a CSV with the columns seconds,photos, as `simulate_scaling` reads it."""
    try:
        return [float(moment) for moment in arrivals.trace(file)]
    except BadSetting as error:
        raise LoadTestError(str(error)) from error


@dataclass(frozen=True)
class LoadOptions:
    """The command's options; times are in seconds, `rate` in photos a second.

    `timeout`: how long answers may take after the last photo. `interval`: how often the gauges are read. `settle`: how
    long to look for second answers once every photo has its first.
    """

    prefix: str
    out: Path
    photos: int = 300
    rate: float = 5.0
    shape: str = "constant"
    trace: Path | None = None
    folder: Path | None = None
    chat_ids: Sequence[int] = ()
    timeout: float = 600.0
    interval: float = 2.0
    settle: float = 5.0
    until_scaled_in: bool = False
    local: bool = False

    def offsets(self) -> list[float]:
        """Return when each photo is sent, in seconds after the start. Raise LoadTestError for a bad trace."""
        return trace(self.trace) if self.trace else SHAPES[self.shape](self.photos, self.rate)

    def title(self, photos: int, where: str) -> str:
        """Return the title of the report: what is sent, and where."""
        when = self.trace.name if self.trace else "burst" if self.shape == "burst" else f"{self.shape}, {self.rate:g}/s"
        return f"Load test: {photos} photos ({when}) on {where}"


@dataclass(slots=True)
class Photo:
    """One photo: its update, when it was sent and accepted (seconds since 1970), and what became of it.

    `received` is how many answers Telegram holds, None where only the chat's owner can count them.
    """

    number: int
    chat_id: int
    message_id: int
    prediction_id: str
    update: Mapping[str, Any] = field(repr=False)
    sent_at: float | None = None
    taken_at: float | None = None
    posts: list[int] = field(default_factory=list)
    prediction: Prediction | None = None
    received: int | None = None

    @property
    def delivered_at(self) -> float | None:
        """Return when Telegram had the answer, by the site's clock, in seconds since 1970."""
        prediction = self.prediction
        if prediction is None or prediction.delivery is not Delivery.DELIVERED or not prediction.delivered_at:
            return None
        return prediction.delivered_at.timestamp()

    @property
    def settled(self) -> bool:
        """Return whether nothing more will happen: Telegram has the answer, or never will."""
        return self.prediction is not None and self.prediction.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE)

    @property
    def answered(self) -> bool:
        """Return whether the sender has an answer: by Telegram's count where there is one, else by the item."""
        return self.received > 0 if self.received is not None else self.delivered_at is not None

    @property
    def undeliverable(self) -> bool:
        """Return whether the sender has no answer and will never get one."""
        return self.settled and not self.answered

    @property
    def apology(self) -> bool:
        """Return whether the answer is an apology."""
        return self.answered and self.prediction is not None and self.prediction.status is Status.FAILED
