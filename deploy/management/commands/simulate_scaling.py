"""Simulate how the group would scale under a load, and what that would cost."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from deploy.management import plan, simulation_options
from metrics import backlog
from metrics.backlog import BadSetting, positive
from metrics.machine_types import AS_OF, COMPARED, TYPES
from metrics.policy import Policies
from metrics.simulator import by_type, choices, compare, plots
from metrics.simulator.by_type import Estimate
from metrics.simulator.compare import Run
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
            help="targets of BacklogPerInstance to compare, in photos (default: BACKLOG_TARGET, or what a machine does "
            "in LATENCY_GOAL_SECONDS)",
        )
        parser.add_argument(
            "--latency", type=float, default=60.0, metavar="SECONDS", help="acceptable latency (default: %(default)s)"
        )
        parser.add_argument(
            "--percentile",
            type=float,
            default=95.0,
            metavar="PERCENT",
            help="percentage of photos that have to meet it with the cheapest machine type (default: 95)",
        )
        parser.add_argument(
            "--compare", action="store_true", help=f"try each policy on each of these loads: {'; '.join(compare.LOADS)}"
        )
        parser.add_argument(
            "--policy",
            nargs="+",
            choices=list(compare.POLICIES),
            metavar="POLICY",
            help=f"which of {', '.join(compare.POLICIES)} (default: {compare.SHIPPED}; with --compare, all)",
        )
        parser.add_argument(
            "--json", action="store_true", help="print a JSON object for each policy and load instead, and draw nothing"
        )
        parser.add_argument(
            "--choices",
            action="store_true",
            help="compute the table of `provision --plan` on ways to have a worker in time",
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
        positive("acceptable latency (--latency)", options["latency"])
        # Fail now, not after minutes of simulation.
        options["png"].parent.mkdir(parents=True, exist_ok=True)
        if options["choices"]:
            choices.store(list(choices.computed()))
            self._console().print(plan.choices_table())
            return
        scenario = simulation_options.scenario(options)
        targets = options["targets"] or [_target(scenario)]
        named = options["policy"] or (list(compare.POLICIES) if options["compare"] else [compare.SHIPPED])
        if options["compare"] or options["json"] or named != [compare.SHIPPED]:
            self._compare(scenario, targets, named, options)
        else:
            self._targets(scenario, targets, options)

    def _compare(
        self, scenario: Scenario, targets: Sequence[float], named: Sequence[str], options: Mapping[str, Any]
    ) -> None:
        """Print a row, or an object, for each policy and load; several targets count as several policies."""
        console, goal = self._console(), options["latency"]
        scenarios = compare.loads(scenario) if options["compare"] else {simulation_options.load(options): scenario}
        policies = {target: simulation_options.policies(options, target) for target in targets}
        runs: list[Run] = []
        with _progress(console, scenario, len(scenarios) * len(named) * len(targets)) as progress:
            for run in compare.runs(scenarios, named, policies, progress):
                runs.append(run)
                if options["json"]:
                    self.stdout.write(json.dumps(run.numbers(goal)) + "\n")
        if not options["json"]:
            console.print(_comparison(runs, goal))
            plots.compare(runs, goal, options["png"])
            console.print(f"Picture: {options['png']}")

    def _targets(self, scenario: Scenario, targets: Sequence[float], options: Mapping[str, Any]) -> None:
        """Print a row for each target, and the cheapest machine type."""
        console = self._console()
        with_target = partial(simulation_options.policies, options)
        with _progress(console, scenario, len(targets)) as progress:
            results = compare.targets(scenario, with_target, targets, progress)
        console.print(_table(scenario, results, options["latency"]))
        with _progress(console, scenario, len(COMPARED)) as progress:
            sentence = _by_type(scenario, options, progress)
        console.print(sentence)
        plots.draw({f"target {target:g}": result for target, result in results.items()}, options["png"])
        console.print(f"Picture: {options['png']}")

    def _console(self) -> Console:
        """Return a console on the command's output: colours on a terminal, plain wide lines elsewhere."""
        # Django would add a line break to each piece that rich writes.
        self.stdout.ending = ""
        width = None if self.stdout.isatty() else 160
        return Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True, width=width)


def _target(scenario: Scenario) -> float:
    """Return the target that the service would use with such machines."""
    if settings.BACKLOG_TARGET is not None:
        return settings.BACKLOG_TARGET
    return backlog.acceptable(settings.LATENCY_GOAL_SECONDS, scenario.machine.photos_per_second)


def _by_type(scenario: Scenario, options: Mapping[str, Any], progress: compare.Progress) -> str:
    """Return which machine type is cheapest for the load, in a line."""
    given = options["targets"][0] if options["targets"] else settings.BACKLOG_TARGET

    def with_speed(speed: float) -> Policies:
        return simulation_options.policies(options, given or backlog.acceptable(settings.LATENCY_GOAL_SECONDS, speed))

    found = list(by_type.estimates(scenario, with_speed, [TYPES[name] for name in COMPARED], progress))
    best = by_type.cheapest(found, options["latency"], options["percentile"])
    if best is None:
        return "No machine type is fast enough for this load."
    others = ", ".join(f"{one.kind.name} {_dollars(one)}" for one in found if one is not best)
    worst = scenario.maximum * best.kind.busy_month
    return (
        f"Cheapest for this load: {best.kind.name} at {_dollars(best)} ({others}). Busy all month, {scenario.maximum} "
        f"of them cost ${worst:,.0f}. List prices of {AS_OF}, speeds of docs/speed.md."
    )


def _dollars(one: Estimate) -> str:
    return f"${one.result.dollars:.3g}" + (" on arm64" if one.kind.arm else "")


def _table(scenario: Scenario, results: Mapping[float, Result], goal: float) -> Table:
    """Return a row for each target: latencies, largest backlog, instances and their cost."""
    title = f"{len(scenario.arrivals):,} photos; up to {scenario.maximum} machines of "
    title += f"{scenario.machine.photos_per_second:g} photos/s"
    headers = ["target", *(f"p{percent} s" for percent in _PERCENTS), "max s", f"> {goal:g} s"]
    table = _empty(title, [*headers, "backlog", "machines", "launches", "hours", "$/1,000"])
    for target, result in results.items():
        latencies = [f"{result.latency(percent):,.1f}" for percent in (*_PERCENTS, 100)]
        waited = (f"{result.share_above(goal):.2%}", f"{result.most_waiting:,}")
        machines = (f"{result.peak}", f"{result.launches}", f"{result.machine_seconds / 3600:,.1f}")
        table.add_row(f"{target:g}", *latencies, *waited, *machines, f"{result.dollars_per_thousand:.3g}")
    return table


def _comparison(runs: Sequence[Run], goal: float) -> Table:
    """Return one row per load and policy."""
    headers = ["p50 s", "p90 s", "p95 s", "p99 s", f"> {goal:g} s", "cold starts", "launches", "machines", "hours"]
    table = _empty("", ["load", "policy", *headers, "$", "busy"])
    for run in runs:
        number = run.numbers(goal)
        latencies = [f"{number[f'p{percent}_s']:,.1f}" for percent in (50, 90, 95, 99)]
        machines = [f"{number[name]}" for name in ("cold_starts", "launches", "peak")]
        money = (f"{number['machine_hours']:,.2f}", f"{number['dollars']:.3g}", f"{number['busy_share']:.1%}")
        table.add_row(run.load, run.policy, *latencies, f"{number['share_above']:.2%}", *machines, *money)
    return table


def _empty(title: str, headers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for header in headers:
        table.add_column(header, justify="left" if header in ("load", "policy") else "right")
    return table


@contextmanager
def _progress(console: Console, scenario: Scenario, steps: int) -> Iterator[Callable[[str, float], None]]:
    """Yield a function that advances a progress bar by simulation and, within one, by simulated time."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    seconds = max([1.0, *scenario.arrivals[-1:].tolist()])
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=steps)
        done: dict[str, float] = {}

        def report(name: str, now: float) -> None:
            done[name] = min(1.0, now / seconds)
            bar.update(task, completed=sum(done.values()), description=name)

        yield report
