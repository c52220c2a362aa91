"""Report how a load test went: what became of the photos, how long answers took, and the files that say so."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import StringIO
from math import ceil
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from botsite import rate_limit
from deploy.loadtest.follow import LoadRun
from deploy.loadtest.gauges import Sample
from deploy.loadtest.plan import Photo

PERCENTS = (50, 90, 99)


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


def tally(photos: Sequence[Photo], *, waited: bool) -> Tally:
    """Count what became of the photos. Those without an answer are lost if they were waited for, else open."""
    sent = [photo for photo in photos if photo.sent_at is not None]
    undeliverable = sum(photo.undeliverable for photo in sent)
    unanswered = sum(not photo.answered and not photo.undeliverable for photo in sent)
    counted = [photo.received for photo in sent if photo.received is not None]
    return Tally(
        photos=len(photos),
        sent=len(sent),
        answered=sum(photo.answered for photo in sent),
        apologies=sum(photo.apology for photo in sent),
        undeliverable=undeliverable,
        lost=undeliverable + (unanswered if waited else 0),
        open=0 if waited else unanswered,
        doubled=sum(max(0, count - 1) for count in counted) if counted else None,
        repeated_posts=sum(max(0, len(photo.posts) - 1) for photo in sent),
    )


def clock_ahead(photos: Iterable[Photo]) -> float:
    """Return how many seconds the sites' clocks are ahead of ours, or 0 if the items don't show it.

    An item is created between sending its photo and the webhook's answer, so each photo bounds the clocks' difference
    from both sides. Together they bound it to a few milliseconds.
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


def latencies(photos: Iterable[Photo], ahead: float) -> list[tuple[float, float]]:
    """Return when each answered photo was sent (since 1970), and how long its answer took, in seconds."""
    return [
        (photo.sent_at, max(0.0, photo.delivered_at - ahead - photo.sent_at))
        for photo in photos
        if photo.sent_at is not None and photo.delivered_at is not None
    ]


def percentiles(seconds: Sequence[float], percents: Sequence[float] = PERCENTS) -> dict[str, float]:
    """Return each percentile by its name, such as p50 (nearest rank: a value that was measured); {} for no values."""
    if not seconds:
        return {}
    values: list[float] = np.percentile(seconds, percents, method="inverted_cdf").tolist()
    return {f"p{percent}": value for percent, value in zip(percents, values, strict=True)}


def first_alarms(samples: Iterable[Sample]) -> dict[str, float]:
    """Return when each alarm was first raised, in seconds after the start."""
    first: dict[str, float] = {}
    for sample in samples:
        for name, state in sample.alarms.items():
            if state == "ALARM":
                first.setdefault(name, sample.seconds)
    return first


def floor_seconds(photos: int, chats: int) -> float:
    """Return how long Telegram's limits alone make so many answers take, in seconds."""
    of_bot, of_chat = rate_limit.BOT, rate_limit.chat(1)
    in_a_chat = ceil(photos / chats) if chats else 0
    return max(
        0.0,
        (photos - of_bot.burst) * of_bot.interval_seconds,
        (in_a_chat - of_chat.burst) * of_chat.interval_seconds,
    )


class LoadReport:
    """A finished load test. `title` says what was sent where, `target` is that of BacklogPerInstance."""

    def __init__(self, run: LoadRun, title: str, target: float) -> None:
        self.run, self.title, self.target = run, title, target
        self.tally = tally(run.photos, waited=run.waited)
        self.ahead = clock_ahead(run.photos)
        # When each answer came (seconds after the start), and how many seconds it took.
        answered = latencies(run.photos, self.ahead)
        self.waits = [(sent_at - run.started_at + seconds, seconds) for sent_at, seconds in answered]
        sent = (photo.sent_at for photo in run.photos)
        self.sent = sorted(sent_at - run.started_at for sent_at in sent if sent_at is not None)

    def verdict(self) -> str:
        """Return the result in one sentence."""
        tally, stopped = self.tally, self.run.interrupted
        parts = [f"{tally.sent} of {tally.photos} photos sent", f"{tally.answered} answered", f"{tally.lost} lost"]
        parts.append("doubles cannot be counted here" if tally.doubled is None else f"{tally.doubled} doubled")
        parts += [f"{tally.open} not waited for"] if stopped else []
        return f"{'Interrupted: ' if stopped else ''}{', '.join(parts)}."

    def broken(self) -> str:
        """Return what became of answers that should have come once, empty if they did."""
        found = {"lost": self.tally.lost, "doubled": self.tally.doubled}
        words = " and ".join(f"{number} {word}" for word, number in found.items() if number)
        return f"Answers were not as promised: {words}. report.json says which." if words else ""

    def text(self) -> str:
        """Return the report for people."""
        table = Table(show_header=False, box=None, pad_edge=False)
        for name, value in self._rows():
            table.add_row(name, value)
        output = StringIO()
        console = Console(file=output, width=160, highlight=False, markup=False, color_system=None)
        console.print(self.title, table, *(f"note: {note}" for note in self.run.notes), self.verdict(), sep="\n")
        return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"

    def _rows(self) -> list[tuple[str, str]]:
        run, tally, seconds = self.run, self.tally, [wait for _, wait in self.waits]
        chats = len({photo.chat_id for photo in run.photos if photo.sent_at is not None})
        waits = [f"{name} {value:.1f}" for name, value in percentiles(seconds).items()]
        floor = floor_seconds(tally.sent, chats)
        rang = [f"{name} after {seconds:.0f} s" for name, seconds in first_alarms(run.samples).items()]
        rows = [
            ("photos", f"{tally.sent} sent to {run.url} from {chats} chats, {tally.repeated_posts} sent again"),
            ("answers", f"{tally.answered}, {tally.apologies} of them apologies; {tally.undeliverable} undeliverable"),
            ("seconds to answer", ", ".join([*waits, f"max {max(seconds):.1f}"]) if waits else "no answer"),
            ("Telegram's limits", f"{tally.sent} answers take at least {floor:.0f} s because of them"),
            ("backlog", f"at most {_most(sample.backlog for sample in run.samples)} jobs"),
            ("BacklogPerInstance", f"at most {_most(self._published('BacklogPerInstance'))}, target {self.target:g}"),
            (
                "instances",
                f"desired at most {_most(sample.desired for sample in run.samples)}, in service at most "
                f"{_most(sample.in_service for sample in run.samples)}",
            ),
            ("alarms", "; ".join(rang) or "none"),
            ("duration", f"{run.samples[-1].seconds if run.samples else 0:.0f} s"),
        ]
        if run.receipts:
            rows.insert(4, ("refused by Telegram", f"{run.receipts.refused} times (429)"))
        if self.ahead:
            rows.append(("clocks", f"the sites' are {self.ahead:+.3f} s ahead of this machine's; corrected"))
        return rows

    def _published(self, name: str) -> list[float]:
        return [point.value for point in self.run.points if point.name == name]

    def save(self) -> None:
        """Write report.txt, report.json, and trace.csv, which `simulate_scaling --trace` reads."""
        folder = self.run.options.out
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.txt").write_text(self.text())
        (folder / "report.json").write_text(json.dumps(self._json(), indent=1, default=str) + "\n")
        lines = ["seconds,photos", *(f"{seconds:.3f},1" for seconds in self.sent)]
        (folder / "trace.csv").write_text("\n".join(lines) + "\n")

    def _json(self) -> dict[str, Any]:
        run, percents, seconds = self.run, (*PERCENTS, 100), [wait for _, wait in self.waits]
        return {
            "title": self.title,
            "options": asdict(run.options),
            "started_at": datetime.fromtimestamp(run.started_at, UTC).isoformat(timespec="milliseconds"),
            "verdict": self.verdict(),
            "tally": asdict(self.tally),
            "seconds_to_answer": dict.fromkeys(f"p{percent}" for percent in percents) | percentiles(seconds, percents),
            "sites_clock_ahead_seconds": self.ahead,
            "target": self.target,
            "notes": run.notes,
            "samples": [asdict(sample) for sample in run.samples],
            "points": [asdict(point) for point in run.points],
            "photos": [self._photo(photo) for photo in run.photos],
        }

    def _photo(self, photo: Photo) -> dict[str, Any]:
        """Return a photo's history; times in seconds after the start, by this machine's clock."""
        start, answered = self.run.started_at, photo.delivered_at
        return {
            "prediction_id": photo.prediction_id,
            "chat_id": photo.chat_id,
            "sent": None if photo.sent_at is None else round(photo.sent_at - start, 3),
            "taken": None if photo.taken_at is None else round(photo.taken_at - start, 3),
            "answered": None if answered is None else round(answered - self.ahead - start, 3),
            "posts": photo.posts,
            "status": photo.prediction.status if photo.prediction else None,
            "delivery": photo.prediction.delivery if photo.prediction else None,
            "received": photo.received,
        }


def _most(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):g}" if known else "(missing)"
