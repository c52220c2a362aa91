"""The options of `simulate_scaling`, and the scenario and policies they describe."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import CommandParser

from metrics import policy
from metrics.policy import Policies
from metrics.simulator import arrivals
from metrics.simulator.arrivals import Seconds
from metrics.simulator.scenario import Machine, Scenario

SHAPES = ("constant", "burst", "wave", "ramp", "bursts")
_MACHINE, _SCENARIO, _POLICIES = Machine(), Scenario(np.zeros(0)), policy.shipped(1)

# Group -> option, unit, default, help; the type is that of the default.
_OPTIONS: Mapping[str, tuple[tuple[str, str, Any, str], ...]] = {
    "load": (
        ("--rate", "PHOTOS/TIME", "100000/day", "mean rate of constant and wave: 5/s, 90/min, 2000/h, 100000/day"),
        ("--hours", "HOURS", 24.0, "how long photos arrive, for constant and wave"),
        ("--photos", "PHOTOS", 300, "number of photos in a burst"),
        ("--burst-seconds", "SECONDS", 10.0, "length of a burst; 0 is all at once"),
        ("--seed", "NUMBER", _SCENARIO.seed, "seed of the random numbers: the same seed, the same photos"),
    ),
    "machines": (
        ("--slots", "PHOTOS", _MACHINE.slots, "photos a machine works on at a time"),
        (
            "--service-seconds",
            "SECONDS",
            _MACHINE.service_seconds,
            "mean time per photo in a slot while all slots are busy",
        ),
        (
            "--service-variation",
            "RATIO",
            _MACHINE.service_variation,
            "standard deviation / mean of that time (log-normal)",
        ),
        ("--boot-seconds", "SECONDS", _MACHINE.boot_seconds, "time from launching a machine to its first photo"),
        ("--resume-seconds", "SECONDS", _MACHINE.resume_seconds, "the same for a machine of the warm pool"),
        (
            "--dollars-per-hour",
            "DOLLARS",
            _MACHINE.kind.dollars_per_hour,
            "list price of a machine, to which its address, disk and a t3.micro's CPU credits are added",
        ),
        ("--min", "MACHINES", _SCENARIO.minimum, "minimum size of the group"),
        ("--max", "MACHINES", _SCENARIO.maximum, "maximum size of the group"),
        ("--warm-pool", "MACHINES", _SCENARIO.warm_pool, "how many of them wait, prepared and stopped"),
    ),
    "metric and policies": (
        ("--publish-seconds", "SECONDS", _SCENARIO.publish_seconds, "how often the metric is published"),
        ("--metric-delay-seconds", "SECONDS", _SCENARIO.metric_delay_seconds, "how late the alarms see a point"),
        (
            "--sends-per-second",
            "MESSAGES",
            _SCENARIO.sends_per_second,
            "answers the bot may send, which latency counts; 0: as many as there are",
        ),
        (
            "--keep-warm",
            "SECONDS",
            _SCENARIO.keep_warm_seconds,
            "how long the last machine stays after the newest photo; 0: as long as it is busy",
        ),
        ("--period-seconds", "SECONDS", _POLICIES.tracking[0].period, "period of the alarms"),
        ("--high-periods", "PERIODS", _POLICIES.tracking[0].high_periods, "this many above the target scale out"),
        ("--low-periods", "PERIODS", _POLICIES.tracking[0].low_periods, "this many below 90 %% of the target scale in"),
        ("--warmup-seconds", "SECONDS", _POLICIES.warmup, "how long a new machine warms up; no scale-in meanwhile"),
    ),
}


def add(parser: CommandParser) -> None:
    """Add the options to a command's parser."""
    groups = {title: parser.add_argument_group(title) for title in _OPTIONS}
    groups["load"].add_argument("--shape", choices=SHAPES, default="wave", help="how photos arrive (default: wave)")
    text = "a CSV file instead of a shape: the column `seconds` says when photos arrive, `photos` how many (default 1)"
    groups["machines"].add_argument(
        "--standby", action="store_true", help="one more, on the metric's machine, always works (StandbyWorker)"
    )
    groups["load"].add_argument("--trace", type=Path, metavar="CSV", help=text)
    for title, options in _OPTIONS.items():
        for name, unit, default, text in options:
            text += " (default: %(default)s)"
            groups[title].add_argument(name, type=type(default), default=default, metavar=unit, help=text)


def scenario(options: Mapping[str, Any]) -> Scenario:
    """Return the scenario that the options describe; raise BadSetting."""
    machine = Machine(
        slots=options["slots"],
        service_seconds=options["service_seconds"],
        service_variation=options["service_variation"],
        boot_seconds=options["boot_seconds"],
        resume_seconds=options["resume_seconds"],
        kind=replace(_MACHINE.kind, dollars_per_hour=options["dollars_per_hour"]),
    )
    return Scenario(
        arrivals=_arrivals(options),
        machine=machine,
        minimum=options["min"],
        maximum=options["max"],
        warm_pool=options["warm_pool"],
        standby=options["standby"],
        publish_seconds=options["publish_seconds"],
        metric_delay_seconds=options["metric_delay_seconds"],
        keep_warm_seconds=options["keep_warm"],
        sends_per_second=options["sends_per_second"],
        seed=options["seed"],
    )


def policies(options: Mapping[str, Any], target: float) -> Policies:
    """Return the shipped policies with a target; raise BadSetting."""
    shipped = policy.shipped(target, options["period_seconds"], options["warmup_seconds"])
    periods = {"high_periods": options["high_periods"], "low_periods": options["low_periods"]}
    return replace(shipped, tracking=[replace(one, **periods) for one in shipped.tracking])


def load(options: Mapping[str, Any]) -> str:
    """Return a name for the load that the options describe."""
    if options["trace"]:
        return f"trace {options['trace'].name}"
    given = {
        "burst": f"burst of {options['photos']:,} in {options['burst_seconds']:g} s",
        "ramp": "ramp",
        "bursts": "bursts",
    }
    return given.get(options["shape"], f"{options['shape']} {options['rate']}, {options['hours']:g} h")


def _arrivals(options: Mapping[str, Any]) -> Seconds:
    if options["trace"]:
        return arrivals.trace(options["trace"])
    rng = np.random.default_rng(options["seed"])
    if options["shape"] == "burst":
        return arrivals.burst(options["photos"], options["burst_seconds"], rng)
    if options["shape"] in ("ramp", "bursts"):
        return arrivals.ramp(rng) if options["shape"] == "ramp" else arrivals.bursts(rng)
    shape = arrivals.wave if options["shape"] == "wave" else arrivals.constant
    return shape(arrivals.per_second(options["rate"]), options["hours"] * 3600, rng)
