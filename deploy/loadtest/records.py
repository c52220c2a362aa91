"""What a load test is to do, and what it remembers: each photo on its way, how the service looked meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detection.schemas import Delivery, Prediction, Status


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `offsets`: when each photo is sent, in seconds; the other times are in seconds too.

    `timeout`: how long the answers may take after the last photo. `interval`: how often the gauges are read. `settle`:
    how long second answers are looked for after all photos have their first.
    """

    offsets: Sequence[float]
    timeout: float
    interval: float
    settle: float
    until_scaled_in: bool


@dataclass(slots=True)
class Photo:
    """One photo: its update, when it was sent and taken (seconds since 1970), and what became of it.

    `received` is how many answers Telegram holds, None where nobody but the chat's owner can count them.
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
        """Return when the answer was with Telegram, by the site's clock, in seconds since 1970."""
        prediction = self.prediction
        if prediction is None or prediction.delivery is not Delivery.DELIVERED or not prediction.delivered_at:
            return None
        return prediction.delivered_at.timestamp()

    @property
    def settled(self) -> bool:
        """Return whether there is nothing more to come: the answer is with Telegram, or never will be."""
        return self.prediction is not None and self.prediction.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE)

    @property
    def answered(self) -> bool:
        """Return whether the sender has an answer: by what Telegram holds, else by the item."""
        return self.received > 0 if self.received is not None else self.delivered_at is not None

    @property
    def failed(self) -> bool:
        """Return whether the answer is an apology."""
        return self.prediction is not None and self.prediction.status is Status.FAILED


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one moment, `seconds` after the start. None is what could not be read: `missing` says why.

    `leaving` are the instances that finish their work at their end; AWS does not count them.
    """

    seconds: float
    sent: int
    taken: int
    answered: int
    visible: int | None = None
    in_flight: int | None = None
    desired: int | None = None
    in_service: int | None = None
    pending: int | None = None
    leaving: int | None = None
    alarms: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def backlog(self) -> int | None:
        """Return the jobs that wait or are worked on."""
        return None if self.visible is None or self.in_flight is None else self.visible + self.in_flight

    @property
    def instances(self) -> int | None:
        """Return how many machines are wanted, or there, whichever is more."""
        if self.desired is None or self.in_service is None:
            return None
        return max(self.desired, self.in_service + (self.pending or 0) + (self.leaving or 0))


@dataclass(frozen=True, slots=True)
class Point:
    """A value that the metricStreamer published, `seconds` after the start."""

    seconds: float
    name: str
    value: float
