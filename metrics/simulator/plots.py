"""Draw a simulation over time. matplotlib is imported only when a picture is drawn."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics import percentile
from metrics.simulator.arrivals import Seconds
from metrics.simulator.compare import Run
from metrics.simulator.scenario import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 120
# Of the time until the last answer; after a burst the machines stay idle for much longer, and it would be a needle.
_IDLE_SHOWN = 1.5
_UNITS = ((48 * 3600.0, 86_400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "s"))


def draw(results: Mapping[str, Result], file: Path) -> None:
    """Write a PNG: backlog, machines and latency over time, one colour per named result."""
    # Figure without pyplot: no window, no global state, always the Agg backend.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    backlog, machines, latency = figure.subplots(3, 1, sharex=True)
    longest = max(float(result.machines.at[-1]) for result in results.values())
    shown = min(longest, _IDLE_SHOWN * max(_last_answer(result) for result in results.values()))
    scale, unit = next((scale, unit) for above, scale, unit in _UNITS if shown >= above)
    for index, (name, result) in enumerate(results.items()):
        changes = result.machines
        # The first is the widest, so that equal lines show as bands inside one another.
        line: dict[str, Any] = {"color": f"C{index % 10}", "linewidth": 1.2 + 1.6 * (len(results) - 1 - index)}
        backlog.plot(result.published.at / scale, result.published.backlog, **line, label=name)
        machines.step(changes.at / scale, changes.desired, where="post", **line)
        machines.step(changes.at / scale, changes.running, where="post", **line, linestyle=":")
        for percent, style in ((50, "-"), (95, ":")):
            times, seconds = by_time(result, percent)
            latency.plot(times / scale, seconds, **line, linestyle=style)
    backlog.set(ylabel="backlog, photos", title="Backlog: waiting and in progress")
    machines.set(ylabel="machines", title="Machines: desired (solid) and running (dotted)")
    latency.set(
        ylabel="seconds",
        xlabel=unit if shown == longest else f"{unit}; the last machine goes after {longest / scale:.0f}",
        title="From arrival to answer, by the time of the answer: median (solid) and p95 (dotted)",
    )
    latency.set_xlim(0, shown / scale)
    machines.yaxis.get_major_locator().set_params(integer=True)
    for axes in (backlog, machines, latency):
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.grid(alpha=0.3)
    backlog.legend(loc="upper right")
    _save(figure, file, results.items())


def compare(runs: Sequence[Run], goal_seconds: float, file: Path) -> None:
    """Write a PNG: for each load, a bar per policy of its p95, of those who waited too long, and of what is paid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    loads, policies = (list(dict.fromkeys(getattr(run, name) for run in runs)) for name in ("load", "policy"))
    width = 0.8 / len(policies)
    for index, policy in enumerate(policies):
        results = [run.result for run in runs if run.policy == policy]
        heights = (
            [result.latency(95) for result in results],
            [100 * result.share_above(goal_seconds) for result in results],
            [result.machine_seconds / 3600 for result in results],
        )
        at = np.arange(len(results)) + (index - (len(policies) - 1) / 2) * width
        for axes, height in zip(panels, heights, strict=True):
            axes.bar_label(axes.bar(at, height, width, label=policy), fmt="%.3g", fontsize=7)
    titles = ("95 % are answered within, seconds", f"Waited longer than {goal_seconds:g} s, %", "Machine-hours")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.margins(y=0.15)
        axes.grid(axis="y", alpha=0.3)
    panels[-1].set_xticks(np.arange(len(loads)), loads)
    panels[0].legend(loc="upper right")
    _save(figure, file, ((f"{run.load}, {run.policy}", run.result) for run in runs))


def _save(figure: "Figure", file: Path, named: Iterable[tuple[str, Result]]) -> None:
    """Write a PNG that says in words, too, what it shows."""
    said = [
        f"{name}: half are answered within {result.latency(50):.3g} s, 95 % within {result.latency(95):.3g} s; "
        f"{result.machine_seconds / 3600:.3g} machine-hours."
        for name, result in named
    ]
    figure.savefig(file, dpi=110, format="png", metadata={"Description": "\n".join(said)})


def _last_answer(result: Result) -> float:
    return float((result.arrivals + result.latencies).max(initial=1.0))


def by_time(result: Result, percent: float) -> tuple[Seconds, Seconds]:
    """Return times in seconds, and a percentile of the latency of the photos answered around each."""
    order = np.argsort(answered := result.arrivals + result.latencies)
    edges = np.linspace(0, float(answered[order[-1]]) if len(order) else 1.0, _BINS + 1)
    starts = np.searchsorted(answered[order], edges[:-1])
    spans = [
        (middle, percentile.of(np.sort(latencies), percent))
        for middle, latencies in zip(
            (edges[1:] + edges[:-1]) / 2, np.split(result.latencies[order], starts[1:]), strict=True
        )
        if len(latencies)
    ]
    return np.array([at for at, _ in spans]), np.array([seconds for _, seconds in spans])
