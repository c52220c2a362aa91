"""Simulate how the group would scale under a load, and what that would cost."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from deploy.management import simulation_options
from metrics.backlog import BadSetting
from metrics.simulator import compare, plots, tuning
from metrics.simulator.scenario import Result, Scenario

_PERCENTS = (50, 95, 99)


class Command(BaseCommand):
    """Simulate every target, print a table, draw a plot; without options, a day of 100,000 photos."""

    help = (
        "Simulate how the Auto Scaling group would follow a load: print latency, instances and cost for each target, "
        "and plot backlog, instances and latency over time. Neither reads nor changes anything on AWS."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the question; `metrics/simulator/options.py` adds the load, the machines and the policies."""
        parser.add_argument(
            "--targets",
            type=float,
            nargs="+",
            metavar="PHOTOS",
            help="targets of BacklogPerInstance to compare, in photos (default: BACKLOG_TARGET)",
        )
        parser.add_argument("--tune", action="store_true", help="recommend a target for --latency, with the reasons")
        parser.add_argument(
            "--latency", type=float, default=60.0, metavar="SECONDS", help="acceptable latency (default: %(default)s)"
        )
        parser.add_argument(
            "--percentile",
            type=float,
            default=95.0,
            metavar="PERCENT",
            help="percentage of photos that have to meet it (default: 95)",
        )
        text = "plot to write (default: %(default)s)"
        parser.add_argument("--png", type=Path, default=Path("var/scaling.png"), metavar="FILE", help=text)
        simulation_options.add(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Report bad input in one line that says what to change."""
        try:
            self._run(options)
        except BadSetting as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Cannot write {options['png']}: {error}") from error
        except KeyboardInterrupt as interrupt:
            raise CommandError("Interrupted.", returncode=130) from interrupt

    def _run(self, options: Mapping[str, Any]) -> None:
        if not 0 < options["percentile"] <= 100:
            raise CommandError(f"--percentile {options['percentile']:g} must be above 0 and at most 100.")
        # Fail now, not after minutes of simulation.
        options["png"].parent.mkdir(parents=True, exist_ok=True)
        console, scenario = self._console(), simulation_options.scenario(options)
        targets = options["targets"] or [settings.BACKLOG_TARGET]
        if options["tune"] and not options["targets"]:
            targets = tuning.candidates(scenario, options["latency"])
        policies = simulation_options.policies(options, targets[0])
        with _progress(console, scenario, len(targets)) as progress:
            results = compare.targets(scenario, policies, targets, progress)
        console.print(_table(scenario, results))
        if options["tune"]:
            advice = tuning.recommend(scenario, policies, results, options["latency"], options["percentile"])
            console.print(
                f"Recommended: BACKLOG_TARGET={advice.target:g}", style="bold green" if advice.kept else "bold"
            )
            for reason in advice.reasons:
                console.print(f"  {reason}")
        plots.draw({f"target {target:g}": result for target, result in results.items()}, options["png"])
        console.print(f"Picture: {options['png']}")

    def _console(self) -> Console:
        """Return a console on the command's output: colours on a terminal, plain wide lines elsewhere."""
        # Django would add a line break to each piece that rich writes.
        self.stdout.ending = ""
        width = None if self.stdout.isatty() else 160
        return Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True, width=width)


def _table(scenario: Scenario, results: Mapping[float, Result]) -> Table:
    """Return a row for each target: latencies, largest backlog, instances and their cost."""
    title = f"{len(scenario.arrivals):,} photos; up to {scenario.maximum} machines of "
    title += f"{scenario.machine.photos_per_second:g} photos/s"
    headers = ["target", *(f"p{percent} s" for percent in _PERCENTS), "max s"]
    headers += ["backlog", "machines", "launches", "hours", "$/1,000"]
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for header in headers:
        table.add_column(header, justify="right")
    for target, result in results.items():
        latencies = [f"{result.latency(percent):,.1f}" for percent in (*_PERCENTS, 100)]
        machines = (f"{result.peak}", f"{result.launches}", f"{result.machine_seconds / 3600:,.1f}")
        row = (f"{target:g}", *latencies, f"{result.most_waiting:,}", *machines, f"{result.dollars_per_thousand:.3g}")
        table.add_row(*row)
    return table


@contextmanager
def _progress(console: Console, scenario: Scenario, targets: int) -> Iterator[compare.Progress]:
    """Yield a function that advances a progress bar by target and, within a target, by simulated time."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    seconds = max([1.0, *scenario.arrivals[-1:].tolist()])
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=targets)
        done: dict[float, float] = {}

        def report(target: float, now: float) -> None:
            done[target] = min(1.0, now / seconds)
            bar.update(task, completed=sum(done.values()), description=f"target {target:g}")

        yield report
