"""The options of `simulate_scaling`, and what they make: the arriving photos, a scenario, the policies."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import CommandParser

from metrics.backlog import BadSetting
from metrics.policy import Policies, StepScaling, TargetTracking
from metrics.simulator import arrivals
from metrics.simulator.arrivals import Seconds
from metrics.simulator.scenario import Machine, Scenario

SHAPES = ("constant", "burst", "wave")
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min|h|day)")
_MACHINE, _POLICIES = Machine(), Policies(TargetTracking(1))
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": arrivals.DAY}

# Group -> option, unit, default, help; the type is that of the default.
_OPTIONS: Mapping[str, tuple[tuple[str, str, Any, str], ...]] = {
    "load": (
        ("--rate", "PHOTOS/TIME", "100000/day", "mean of constant and wave: 5/s, 90/min, 2000/h, 100000/day"),
        ("--hours", "HOURS", 24.0, "how long photos come, in constant and wave"),
        ("--photos", "PHOTOS", 300, "how many photos a burst has"),
        ("--burst-seconds", "SECONDS", 10.0, "how long a burst lasts; 0 is all at once"),
        ("--seed", "NUMBER", 1, "draws the random numbers: the same seed, the same photos"),
    ),
    "machines": (
        ("--slots", "PHOTOS", _MACHINE.slots, "photos that a machine works on at a time"),
        ("--service-seconds", "SECONDS", _MACHINE.service_seconds, "mean time of a photo in a slot, all slots busy"),
        ("--service-variation", "RATIO", _MACHINE.service_variation, "standard deviation of it / its mean, log-normal"),
        ("--boot-seconds", "SECONDS", _MACHINE.boot_seconds, "time from the launch of a machine to its first photo"),
        ("--dollars-per-hour", "DOLLARS", _MACHINE.dollars_per_hour, "price of a machine; t3.micro in us-east-1"),
        ("--min", "MACHINES", 0, "how many machines there are at least"),
        ("--max", "MACHINES", 4, "how many machines there are at most"),
    ),
    "metric and policies": (
        ("--publish-seconds", "SECONDS", 30.0, "how often the metric is published"),
        ("--metric-delay-seconds", "SECONDS", 5.0, "how long a point takes until the alarms see it"),
        ("--period-seconds", "SECONDS", 30.0, "period of the alarms"),
        ("--high-periods", "PERIODS", _POLICIES.tracking.high_periods, "so many above the target scale out"),
        ("--low-periods", "PERIODS", _POLICIES.tracking.low_periods, "so many below 90 %% of the target scale in"),
        (
            "--warmup-seconds",
            "SECONDS",
            _POLICIES.warmup,
            "how long a launched machine warms up: no scale-in meanwhile",
        ),
    ),
}


def add(parser: CommandParser) -> None:
    """Add the options to a command's parser."""
    groups = {title: parser.add_argument_group(title) for title in _OPTIONS}
    groups["load"].add_argument("--shape", choices=SHAPES, default="wave", help="how photos come (default: wave)")
    text = "a CSV file instead of a shape: when photos come, in the column `seconds`, and how many, in `photos` (1)"
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
        dollars_per_hour=options["dollars_per_hour"],
    )
    return Scenario(
        arrivals=_arrivals(options),
        machine=machine,
        minimum=options["min"],
        maximum=options["max"],
        publish_seconds=options["publish_seconds"],
        metric_delay_seconds=options["metric_delay_seconds"],
        seed=options["seed"],
    )


def policies(options: Mapping[str, Any], target: float) -> Policies:
    """Return the two policies with a target; raise BadSetting."""
    period = options["period_seconds"]
    tracking = TargetTracking(target, period, options["high_periods"], options["low_periods"])
    return Policies(tracking, StepScaling(period=period), options["warmup_seconds"])


def _arrivals(options: Mapping[str, Any]) -> Seconds:
    if options["trace"]:
        return arrivals.trace(options["trace"])
    rng = np.random.default_rng(options["seed"])
    if options["shape"] == "burst":
        return arrivals.burst(options["photos"], options["burst_seconds"], rng)
    shape = arrivals.wave if options["shape"] == "wave" else arrivals.constant
    return shape(_per_second(options["rate"]), options["hours"] * 3600, rng)


def _per_second(rate: str) -> float:
    found = _RATE.fullmatch(rate.replace(" ", ""))
    if not found:
        raise BadSetting(f"--rate {rate!r} is not a number of photos per s, min, h or day, such as 90/min.")
    return float(found[1]) / _SECONDS[found[2]]
