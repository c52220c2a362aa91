"""Say how a load test went."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from math import ceil

from rich.console import Console
from rich.table import Table

from botsite.bot import rate_limit
from deploy.loadtest.run import Run
from deploy.loadtest.screen import PERCENTS
from deploy.loadtest.tally import Tally, clock_ahead, latencies, percentile


@dataclass(frozen=True)
class Report:
    """A load test that is over. `title` says what was sent where, `target` is that of BacklogPerInstance."""

    title: str
    run: Run
    target: float
    tally: Tally
    ahead: float

    @classmethod
    def of(cls, run: Run, title: str, target: float) -> "Report":
        """Return the report of a run."""
        return cls(title, run, target, run.tally(), clock_ahead(run.photos))

    def waits(self) -> list[tuple[float, float]]:
        """Return, of each answered photo, when that was (seconds after the start) and how many seconds it took."""
        answered = latencies(self.run.photos, self.ahead)
        return [((photo.sent_at or 0.0) - self.run.started_at + seconds, seconds) for photo, seconds in answered]

    def sent(self) -> list[float]:
        """Return when the photos were sent, in seconds after the start."""
        times = (photo.sent_at for photo in self.run.photos)
        return sorted(sent_at - self.run.started_at for sent_at in times if sent_at is not None)

    def verdict(self) -> str:
        """Return the sentence that matters."""
        tally, stopped = self.tally, self.run.interrupted
        parts = [f"{tally.sent} of {tally.photos} photos sent", f"{tally.answered} answered", f"{tally.lost} lost"]
        parts.append("doubles cannot be counted here" if tally.doubled is None else f"{tally.doubled} doubled")
        parts += [f"{tally.open} not waited for"] if stopped else []
        return f"{'Interrupted: ' if stopped else ''}{', '.join(parts)}."

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
        run, tally, seconds = self.run, self.tally, [wait for _, wait in self.waits()]
        chats = len({photo.chat_id for photo in run.photos if photo.sent_at is not None})
        rows = [
            ("photos", f"{tally.sent} sent to {run.sender.url}, in {chats} chats, {tally.repeated_posts} sent again"),
            ("answers", f"{tally.answered}, {tally.apologies} of them apologies; {tally.undeliverable} undeliverable"),
            ("seconds to answer", _percentiles(seconds)),
            (
                "Telegram's limits",
                f"alone make {tally.sent} answers take {floor_seconds(tally.sent, chats):.0f} s or more",
            ),
            ("backlog", f"at most {_most(sample.backlog for sample in run.samples)} jobs"),
            ("BacklogPerInstance", f"at most {_most(self.values('BacklogPerInstance'))}, target {self.target:g}"),
            (
                "instances",
                f"desired at most {_most(sample.desired for sample in run.samples)}, in service at most "
                f"{_most(sample.in_service for sample in run.samples)}",
            ),
            ("alarms", "; ".join(self._alarms()) or "none rose"),
            ("duration", f"{run.samples[-1].seconds if run.samples else 0:.0f} s"),
        ]
        if run.receipts:
            rows.insert(4, ("refused by Telegram", f"{run.receipts.refused} times (429)"))
        if self.ahead:
            rows.append(("clocks", f"the sites' are {self.ahead:+.3f} s ahead of this machine's; corrected"))
        return rows

    def values(self, name: str) -> list[float]:
        """Return what was published of a metric."""
        return [point.value for point in self.run.points if point.name == name]

    def _alarms(self) -> list[str]:
        """Say when each alarm first rose."""
        first: dict[str, float] = {}
        for sample in self.run.samples:
            for name, state in sample.alarms.items():
                if state == "ALARM":
                    first.setdefault(name, sample.seconds)
        return [f"{name} after {seconds:.0f} s" for name, seconds in first.items()]


def floor_seconds(photos: int, chats: int) -> float:
    """Return how long answers to so many photos take by Telegram's limits alone, in seconds."""
    of_bot, of_chat = rate_limit.BOT, rate_limit.chat(1)
    in_a_chat = ceil(photos / chats) if chats else 0
    return max(
        0.0,
        (photos - of_bot.burst) * of_bot.interval_seconds,
        (in_a_chat - of_chat.burst) * of_chat.interval_seconds,
    )


def _percentiles(seconds: list[float]) -> str:
    if not seconds:
        return "no answer"
    return (
        ", ".join(f"p{percent} {percentile(seconds, percent):.1f}" for percent in PERCENTS)
        + f", most {max(seconds):.1f}"
    )


def _most(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):g}" if known else "(missing)"
