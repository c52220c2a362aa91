"""Estimate what a run costs, at list prices."""

from botsite import roles
from deploy import costs, stacks
from deploy.acceptance.plan import HOURS
from deploy.certificates import choice
from deploy.costs import Cost
from deploy.images.spec import ImageSpec
from deploy.provision import Order
from metrics.machine_types import HOURS_A_MONTH, TYPES, MachineType

# The burst, and the one in which a worker is killed; and some single photos.
_BURSTS, _SINGLE = 2, 50
_BAKE_HOURS = 0.25


def lines(order: Order, photos: int) -> list[Cost]:
    """Return what a run costs if it takes HOURS, and all workers that it may have are busy for half of that."""
    given = values(order)
    worker, number = given["WorkerType"], int(float(given["MaxWorkers"]))
    baker = order.bake_type or ImageSpec(roles.YOLO5.short, "").machine
    seconds = HOURS / 2 * 3600
    count, bakes = _BURSTS * photos + _SINGLE, len(roles.ROLES)
    of_photos = sum(one.dollars for one in costs.thousand_photos(worker, 1) if one.what != "a worker")
    return [
        Cost("what runs all the time", hour(order) * HOURS, f"{HOURS:g} h"),
        Cost(
            "workers", number * _type(worker).dollars(seconds, seconds), f"{number} {worker}, busy for {HOURS / 2:g} h"
        ),
        Cost("bakes", bakes * _type(baker).dollars(_BAKE_HOURS * 3600, 0), f"{bakes} by a {baker}"),
        Cost("photos", of_photos * count / 1000, f"{count}"),
    ]


def hour(order: Order) -> float:
    """Return what an hour of the service costs without photos, in US dollars."""
    planned = stacks.planned(order.service, {**order.values, **choice.planned(order.service, order.way)})
    month = costs.idle_month([costs.resources(template, given) for template, given in planned])
    return sum(one.dollars for one in month) / HOURS_A_MONTH


def values(order: Order) -> dict[str, str]:
    """Return the template parameters that the order makes."""
    return {name: value for _, given in stacks.planned(order.service, order.values) for name, value in given.items()}


def _type(name: str) -> MachineType:
    return TYPES.get(name) or MachineType(name, 0)
