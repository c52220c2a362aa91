"""Judge photos: who was told, who was not, who was told twice, and who was told of a photo that nobody knows."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from deploy.audit import table
from detection.record import items, queries, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from metrics.health.waiting import LATE

# The logs of a machine reach CloudWatch within seconds; one that drains writes its last lines after the table.
_LOGGED_LATE = timedelta(minutes=5)
# What an operator does that makes another answer right.
_AGAIN = ("retry", "resend")
# Somebody is told of these once, in the answer to the first of some photos.
_TOLD_ONCE = (Code.LIMIT_MINUTE, Code.LIMIT_DAY)


@dataclass(frozen=True)
class Breach:
    """A photo that breaks the promise: how, by one word, and what was seen."""

    prediction_id: str
    kind: str
    seen: str


@dataclass
class Found:
    """What became of the photos that came between two times, by outcome, and which of them break the promise.

    `photos` are their times by id. While the service is paused, nobody is owed an answer yet. `unchecked`: what could
    not be looked at, and why.
    """

    since: datetime
    until: datetime
    paused: bool
    unchecked: str = ""
    outcomes: Counter[str] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)
    photos: dict[str, str] = field(default_factory=dict)

    def broken(self, prediction_id: str, kind: str, seen: str) -> None:
        """Note a breach."""
        self.breaches.append(Breach(prediction_id, kind, seen))

    @property
    def settled(self) -> datetime:
        """Return the time before which nothing is under way any more."""
        return self.until - LATE

    def late(self, at: datetime) -> bool:
        """Return whether what began then should be over."""
        return not self.paused and at <= self.settled

    def logged(self, at: datetime | None) -> bool:
        """Return whether the logs that were read have what happened then."""
        return at is not None and self.since <= at < self.until - _LOGGED_LATE


def judge(found: Found, answers: Mapping[str, int], say: Callable[[int], None]) -> None:
    """Judge the photos by how often each was answered; `say` is told how many were read, after each thousand."""
    doubtful: list[str] = []
    for number, photo in enumerate(queries.between(found.since, found.until), 1):
        identity = photo["prediction_id"]
        found.photos[identity] = photo["created_at"]
        once = answers.get(identity, 0) == 1 or not found.logged(times.parse(photo.get("delivered_at")))
        if photo.get("delivery") == Delivery.DELIVERED and once and answers.get(identity, 0) < 2:
            found.outcomes[_told(photo.get("status"))] += 1
        else:
            doubtful.append(identity)
        if number % 1000 == 0:
            say(number)
    for item in table.read_items(doubtful):
        identity = item["prediction_id"]
        try:
            _judge(items.read(item), answers.get(identity, 0), found)
        except items.Incomplete as error:
            found.broken(identity, "unreadable", str(error))


def _told(status: object) -> str:
    return "answered" if status == Status.SUCCEEDED else "told why not"


def _judge(photo: Prediction, answers: int, found: Found) -> None:
    outcome, seen = _outcome(photo, answers, found)
    found.outcomes[outcome] += 1
    if seen:
        found.broken(photo.prediction_id, outcome, seen)


def _outcome(photo: Prediction, answers: int, found: Found) -> tuple[str, str]:
    """Return what became of a photo, and what was seen of a breach, else empty."""
    # A replayed dead letter reopens a photo without an operator's act on it.
    again = sum(act.operation in _AGAIN for act in photo.acts) or int(photo.reopened_at is not None)
    touched = times.latest(photo.created_at, photo.reopened_at)
    if answers > 1 + again:
        return "doubled", f"{answers} answers"
    if photo.delivery is Delivery.DELIVERED and not answers and found.logged(photo.delivered_at):
        if photo.reason and photo.reason.code in _TOLD_ONCE:
            return _told(photo.status), ""
        return (
            "not in the logs",
            f"{photo.delivery} at {times.text(times.latest(photo.delivered_at))}, and no site logged it",
        )
    if photo.delivery is Delivery.DELIVERED:
        return _told(photo.status), ""
    if photo.delivery is Delivery.UNDELIVERABLE and not photo.delivery_failures:
        return "chat gone or bot blocked", ""
    if photo.delivery is Delivery.UNDELIVERABLE:
        return "given up", "its answer failed for hours; its sender knows nothing"
    if not found.late(touched):
        return "under way", ""
    return "unanswered", f"{photo.status}, {photo.delivery} since {times.text(touched)}"


def gone(found: Found, answers: Mapping[str, int], taken: Callable[[], Mapping[str, int]]) -> None:
    """Judge answers to photos that are not there. `taken` reads how often the logs say that each photo came."""
    unknown = {each for each in answers if each and each not in found.photos}
    unknown -= table.find_there(list(unknown))
    came = taken() if unknown else {}
    found.outcomes["answered, and gone since"] += len(unknown & came.keys())
    for identity in sorted(unknown - came.keys()):
        found.broken(identity, "no photo", "it was answered, and neither table nor logs know of it")
