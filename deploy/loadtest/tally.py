"""Count what became of the photos of a load test, and how long their answers took."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from deploy.loadtest.records import Photo


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of all photos. `doubled` is None where answers cannot be counted; `open` were not waited for."""

    photos: int
    sent: int
    answered: int
    apologies: int
    undeliverable: int
    lost: int
    open: int
    doubled: int | None
    repeated_posts: int

    @property
    def kept(self) -> bool:
        """Return whether every photo that was waited for has exactly one answer, as far as can be seen."""
        return self.lost == 0 and not self.doubled


def count(photos: Sequence[Photo], *, waited: bool) -> Tally:
    """Count what became of the photos. `waited`: what has no answer by now is lost, otherwise it is open."""
    sent = [photo for photo in photos if photo.sent_at is not None]
    undeliverable = sum(_undeliverable(photo) for photo in sent)
    unanswered = sum(not photo.answered and not _undeliverable(photo) for photo in sent)
    counted = [photo.received for photo in sent if photo.received is not None]
    return Tally(
        photos=len(photos),
        sent=len(sent),
        answered=sum(photo.answered for photo in sent),
        apologies=sum(photo.failed and photo.answered for photo in sent),
        undeliverable=undeliverable,
        lost=undeliverable + (unanswered if waited else 0),
        open=0 if waited else unanswered,
        doubled=sum(max(0, count - 1) for count in counted) if counted else None,
        repeated_posts=sum(max(0, len(photo.posts) - 1) for photo in sent),
    )


def _undeliverable(photo: Photo) -> bool:
    return not photo.answered and photo.prediction is not None and photo.settled


def clock_ahead(photos: Iterable[Photo]) -> float:
    """Return how many seconds the sites' clocks are ahead of ours: 0 unless the items prove otherwise.

    An item is made between the sending of its photo and the webhook's answer. Each photo bounds the difference of the
    clocks from both sides; all together bound it to a few milliseconds.
    """
    seen = [
        (photo.prediction.created_at.timestamp(), photo.sent_at, photo.taken_at)
        for photo in photos
        if photo.prediction and photo.prediction.created_at and photo.sent_at and photo.taken_at
    ]
    if not seen:
        return 0.0
    least = max(created - taken for created, _, taken in seen)
    most = min(created - sent for created, sent, _ in seen)
    if least > most:
        # The two sites' clocks differ from each other.
        return (least + most) / 2
    return min(max(0.0, least), most)


def latencies(photos: Iterable[Photo], ahead: float) -> list[tuple[Photo, float]]:
    """Return the photos that were answered, each with its seconds from sending to answer."""
    return [
        (photo, max(0.0, photo.delivered_at - ahead - photo.sent_at))
        for photo in photos
        if photo.sent_at is not None and photo.delivered_at is not None
    ]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that so many percent of the values do not exceed (nearest rank), None for no values."""
    ordered = sorted(values)
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)] if ordered else None
