"""Print what `provision` would do and what the service costs."""

from collections.abc import Mapping

from rich.console import Console

from deploy import costs, prices, provision
from deploy.cfn.template import Template
from deploy.management.base import change_table, cost_table
from deploy.provision import Order


def show(console: Console, order: Order) -> None:
    """Print the changes to the stacks, the other steps, and the costs; nothing is changed."""
    changes, planned = provision.plan(order)
    console.print(change_table(changes) if changes else f"Nothing would change in the stacks of {order.service}.")
    for step in provision.steps(order):
        console.print(step, markup=False)
    _costs(console, planned)


def _costs(console: Console, planned: list[tuple[Template, Mapping[str, str]]]) -> None:
    made = [costs.resources(template, names) for template, names in planned]
    names = {key: value for _, given in planned for key, value in given.items()}
    worker_type, kept_days = names["WorkerType"], float(names["KeptDays"])
    console.print(cost_table("a month without photos", costs.idle_month(made)))
    console.print(cost_table("a thousand photos", costs.thousand_photos(worker_type, kept_days)))
    console.print(f"List prices of {prices.REGION}, {prices.AS_OF}, before taxes and free tiers.")
    for one in costs.unknown(made, worker_type):
        console.print(f"deploy/prices.py has no price for {one}: its hours are not in these sums.")
