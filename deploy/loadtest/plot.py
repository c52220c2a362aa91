"""Plot a load test: photos and backlog, the metric, the group with its alarms, and how long answers took."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.loadtest.gauges import Sample
from deploy.loadtest.report import PERCENTS, LoadReport, percentiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The test is cut into this many stretches of time, each with its own percentiles.
_STRETCHES = 40
_BANDS = ("tab:red", "tab:orange", "tab:blue", "tab:purple", "tab:brown")
_PERCENT_COLOURS = ("tab:green", "tab:orange", "tab:red")


def draw(report: LoadReport, file: Path) -> None:
    """Write the plot as a PNG, which holds the report in words for people who don't see it."""
    # Imported here because it takes most of a second. Figure alone needs no window and no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 10), layout="constrained")
    axes = figure.subplots(4, sharex=True, height_ratios=(3, 2, 2, 3))
    for one, panel in zip(axes, (_photos, _metric, _group, _waits), strict=True):
        panel(one, report)
        one.set_ylim(bottom=0)
        one.set_xlim(left=0)
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
        one.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=8, frameon=False)
    axes[-1].set_xlabel("seconds since the start")
    figure.suptitle(f"{report.title}\n{report.verdict()}", fontsize=11)
    figure.savefig(file, dpi=110, metadata={"Title": report.title, "Description": report.text()})


def _photos(axes: "Axes", report: LoadReport) -> None:
    answered = sorted(at for at, _ in report.waits)
    end = max(sample.seconds for sample in report.run.samples)
    for label, moments, colour in (("sent", report.sent, "0.5"), ("answered", answered, "tab:green")):
        counts = [*range(len(moments) + 1), len(moments)]
        axes.step([0, *moments, end], counts, colour, where="post", label=f"photos {label}")
    _gauge(axes, report.run.samples, "backlog", "tab:red", "backlog: waiting or in progress")
    _gauge(axes, report.run.samples, "in_flight", "tab:orange", "in progress")
    axes.set_ylabel("photos")


def _metric(axes: "Axes", report: LoadReport) -> None:
    points = [point for point in report.run.points if point.name == "BacklogPerInstance"]
    values = [point.value for point in points]
    axes.step([point.seconds for point in points], values, "tab:blue", where="post", marker=".", label="published")
    axes.axhline(report.target, color="tab:red", linestyle="--", label=f"target {report.target:g}")
    axes.set_ylabel("BacklogPerInstance")
    if not points:
        _say(axes, "no values were published")


def _group(axes: "Axes", report: LoadReport) -> None:
    from matplotlib.ticker import MaxNLocator

    samples = report.run.samples
    _bands(axes, samples)
    _gauge(axes, samples, "desired", "0.3", "desired")
    _gauge(axes, samples, "in_service", "tab:green", "in service")
    if any(sample.leaving for sample in samples):
        _gauge(axes, samples, "leaving", "tab:olive", "leaving")
    axes.set_ylabel("instances")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if all(sample.desired is None for sample in samples):
        _say(axes, "the Auto Scaling group could not be read")


def _bands(axes: "Axes", samples: Sequence[Sample]) -> None:
    """Shade the times when an alarm was raised, each alarm at its own height."""
    names = sorted({name for sample in samples for name in sample.alarms})
    for row, name in enumerate(names):
        spans = [
            (sample.seconds, following.seconds - sample.seconds)
            for sample, following in pairwise(samples)
            if sample.alarms.get(name) == "ALARM"
        ]
        axes.broken_barh(
            spans,
            (row / len(names), 1 / len(names)),
            transform=axes.get_xaxis_transform(),
            facecolor=_BANDS[row % len(_BANDS)],
            alpha=0.25,
            label=f"ALARM {name}",
        )


def _waits(axes: "Axes", report: LoadReport) -> None:
    answered, seconds = [at for at, _ in report.waits], [wait for _, wait in report.waits]
    axes.plot(answered, seconds, ".", color="0.7", markersize=3, label="a photo")
    middles, stretches = _stretches(report.waits)
    for percent, colour in zip(PERCENTS, _PERCENT_COLOURS, strict=True):
        name = f"p{percent}"
        axes.plot(middles, [percentiles(stretch)[name] for stretch in stretches], colour, label=name)
    axes.set_ylabel("seconds to answer,\nby time of answer")
    if not report.waits:
        _say(axes, "no photo was answered")


def _stretches(waits: Iterable[tuple[float, float]]) -> tuple[list[float], list[list[float]]]:
    """Return the middle of each stretch of the test with answers in it, and how long these took."""
    ordered = sorted(waits)
    if not ordered:
        return [], []
    first, width = ordered[0][0], max(1.0, (ordered[-1][0] - ordered[0][0]) / _STRETCHES)
    stretches: dict[int, list[float]] = {}
    for answered, seconds in ordered:
        stretches.setdefault(int((answered - first) / width), []).append(seconds)
    return [first + (number + 0.5) * width for number in stretches], list(stretches.values())


def _gauge(axes: "Axes", samples: Sequence[Sample], name: str, colour: str, label: str) -> None:
    """Draw a gauge, with gaps where it could not be read."""
    values: list[Any] = [getattr(sample, name) for sample in samples]
    gaps = [float("nan") if value is None else value for value in values]
    axes.step([sample.seconds for sample in samples], gaps, colour, where="post", label=label)


def _say(axes: "Axes", text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.5")
