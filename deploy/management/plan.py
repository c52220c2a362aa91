"""Print what `provision` would do and what the service costs."""

import math
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from botsite import rate_limit
from deploy import costs, provision
from deploy.cfn.template import Template
from deploy.management.base import change_table, cost_table
from deploy.provision import Order
from metrics.machine_types import AS_OF, REGION, TYPES
from metrics.simulator import by_type, choices
from metrics.simulator.by_type import Estimate


def show(console: Console, order: Order, photos_per_day: int = 0) -> None:
    """Print the changes to the stacks, the other steps, and the costs, also of a load; nothing is changed.

    Raise BadSetting for an impossible load.
    """
    changes, planned = provision.plan(order)
    console.print(change_table(changes) if changes else f"Nothing would change in the stacks of {order.service}.")
    for step in provision.steps(order):
        console.print(step, markup=False)
    names = {key: value for _, given in planned for key, value in given.items()}
    _costs(console, planned, names)
    console.print(choices_table())
    if photos_per_day:
        _load(console, photos_per_day, names)
    console.print(f"List prices of {REGION}, {AS_OF}, before taxes and free tiers.")


def _costs(console: Console, planned: list[tuple[Template, Mapping[str, str]]], names: Mapping[str, str]) -> None:
    made = [costs.resources(template, given) for template, given in planned]
    worker_type, kept_days = names["WorkerType"], float(names["KeptDays"])
    console.print(cost_table("a month without photos", costs.idle_month(made)))
    console.print(cost_table("a thousand photos", costs.thousand_photos(worker_type, kept_days)))
    for one in costs.unknown(made, worker_type):
        console.print(f"metrics/machine_types.py has no price for {one}: its hours are not in these sums.")
    if kind := TYPES.get(worker_type):
        number = int(names["MaxWorkers"])
        console.print(
            f"In the worst month all workers are busy day and night: {number} {worker_type} (MaxWorkers) would cost "
            f"US$ {number * kind.busy_month:,.0f}, CPU credits included."
        )


def _load(console: Console, photos: int, names: Mapping[str, str]) -> None:
    found = by_type.of_day(photos, names)
    console.print(_load_table(photos, found, int(names["MaxWorkers"])))
    best = by_type.cheapest(found, float(names["LatencyGoalSeconds"]))
    console.print(f"Cheapest: {best.kind.name}." if best else "No type is fast enough.")
    if kind := TYPES.get(names["WorkerType"]):
        console.print(_sending_limit(1 / rate_limit.BOT.interval_seconds, kind.photos_per_second))
    console.print("Photos/s: a photo's CPU time as measured on one core (docs/speed.md), on the type's whole cores.")


def _sending_limit(per_second: float, photos_per_second: float) -> str:
    """Say from how many machines on the bot's limit of messages decides how soon an answer comes."""
    enough = math.ceil(per_second / photos_per_second)
    machines = "one machine" if enough == 1 else f"{enough} machines"
    return f"The bot may send {per_second:g} messages/s: with more than {machines}, answers come no earlier."


def choices_table() -> Table:
    """Return how long people wait, and what workers cost, for each way to have one in time."""
    rows = choices.stored()
    per_day = list(dict.fromkeys(row.photos_a_day for row in rows))
    headers = [f"{photos:,} a day: > {choices.LONG_SECONDS:g} s, US$" for photos in per_day]
    table = Table("a worker in time, US$ of workers in a month", "first photo", *headers, box=None)
    table.header_style, table.pad_edge = "bold", False
    for column in table.columns[1:]:
        column.justify = "right"
    for name in dict.fromkeys(row.name for row in rows):
        ours = [row for row in rows if row.name == name]
        cells = [f"{row.share_above:.2%}, {row.dollars:.2f}" for row in ours]
        table.add_row(name, f"{ours[0].first_seconds:g} s", *cells)
    return table


def _load_table(photos: int, found: list[Estimate], maximum: int) -> Table:
    """Return a row for each type: workers only, as the rest of the service does not depend on it."""
    title = f"workers in a month of {photos:,} photos a day"
    table = Table(title, "US$", "machine-hours", "photos/s", "p95 s", f"{maximum} busy all month, US$", "", box=None)
    table.header_style, table.pad_edge = "bold", False
    for column in table.columns[1:-1]:
        column.justify = "right"
    for one in found:
        result, days = one.result, by_type.DAYS_A_MONTH
        hours, worst = days * result.machine_seconds / 3600, maximum * one.kind.busy_month
        numbers = (f"{days * result.dollars:,.2f}", f"{hours:,.0f}", f"{one.kind.photos_per_second:g}")
        note = "arm64: to compare, the images are x86-64" if one.kind.arm else ""
        table.add_row(one.kind.name, *numbers, f"{result.latency(95):,.1f}", f"{worst:,.0f}", note)
    return table
