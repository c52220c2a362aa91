"""Draw a simulation over time. matplotlib is imported only when a picture is drawn."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metrics import percentile
from metrics.simulator.arrivals import Seconds
from metrics.simulator.scenario import Result

_BINS = 120
_UNITS = ((48 * 3600.0, 86_400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "s"))


def draw(results: Mapping[str, Result], file: Path) -> None:
    """Write a PNG: backlog, machines and latency over time, one colour per named result."""
    # Figure without pyplot: no window, no global state, always the Agg backend.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    backlog, machines, latency = figure.subplots(3, 1, sharex=True)
    longest = max(float(result.machines.at[-1]) for result in results.values())
    scale, unit = next((scale, unit) for above, scale, unit in _UNITS if longest >= above)
    for index, (name, result) in enumerate(results.items()):
        colour, changes = f"C{index % 10}", result.machines
        backlog.plot(result.published.at / scale, result.published.backlog, color=colour, label=name)
        machines.step(changes.at / scale, changes.desired, where="post", color=colour)
        machines.step(changes.at / scale, changes.running, where="post", color=colour, linestyle=":")
        for percent, line in ((50, "-"), (95, ":")):
            times, seconds = by_time(result, percent)
            latency.plot(times / scale, seconds, color=colour, linestyle=line)
    backlog.set(ylabel="backlog, photos", title="Backlog: waiting and in progress")
    machines.set(ylabel="machines", title="Machines: desired (solid) and running (dotted)")
    latency.set(
        ylabel="seconds",
        xlabel=unit,
        title="From arrival to answer, by the time of the answer: median (solid) and p95 (dotted)",
    )
    machines.yaxis.get_major_locator().set_params(integer=True)
    for axes in (backlog, machines, latency):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    backlog.legend(loc="upper right")
    figure.savefig(file, dpi=110, format="png")


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
