"""The state of the service on one screen, each part read by itself."""

from collections.abc import Callable, Mapping
from functools import partial

from deploy.operate import health, machines, pausing, readings, seen, spent, work
from deploy.operate.seen import Seen
from deploy.service import Service

PARTS: Mapping[str, Callable[[Service], Seen]] = {
    "stacks": health.stack_states,
    "pause": pausing.read,
    "machines": machines.read,
    "jobs": work.jobs,
    "oldest job": work.oldest,
    "photos": work.photos,
    "alarms": health.alarms,
    "certificate": health.certificate,
    "webhook": health.webhook,
    "cost": spent.so_far,
}


def read(service: Service, seconds: float = readings.SECONDS) -> dict[str, Seen]:
    """Read all parts at once; one that can't be read within the time says why, and hides no other."""
    found = readings.read({name: partial(part, service) for name, part in PARTS.items()}, seconds)
    return {name: one.value if one.value else seen.unknown(one.reason) for name, one in found.items()}
