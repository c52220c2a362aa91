"""Make the service."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from botsite import aws, roles
from deploy import stacks
from deploy.acceptance import results
from deploy.acceptance.context import Context
from deploy.acceptance.results import Measure, StepFailed
from deploy.images import ami


def provision(run: Context) -> Iterator[Measure]:
    """Bring everything up, from nothing to sites that answer."""
    watch = _Watch(run)
    run.place.provision(run.order, watch.say)
    yield from _bakes(run, watch)
    compared = stacks.find_drift(run.service, lambda event: run.say(f"{event.logical_id}: {event.reason}"))
    if compared.differences:
        raise StepFailed("; ".join(compared.differences))
    yield Measure("settings as the templates want them", compared.compared, "properties")
    yield Measure("kinds of resources that were not compared, or not in full", len(compared.skipped), "types")


@dataclass
class _Watch:
    """Notes when a bake is spoken of."""

    run: Context
    bakes: dict[str, list[float]] = field(default_factory=dict)

    def say(self, text: str) -> None:
        self.run.say(text)
        role = text.replace(":", " ").partition(" ")[0]
        if any(role == one.short for one in roles.ROLES):
            self.bakes.setdefault(role, []).append(time.monotonic())


def _bakes(run: Context, watch: _Watch) -> Iterator[Measure]:
    for role, times in watch.bakes.items():
        yield Measure(f"bake of {role}", times[-1] - times[0], "s")
    if aws.emulated():
        yield results.unknown("bakes", "the local AWS bakes no images")
        return
    for one in roles.ROLES:
        if image := ami.newest(run.service, one.short):
            yield Measure(f"image of {one.short}", 1, "image", f"{image.id}, {image.version}")
