"""Replace machines while photos come in: AWS's guide doesn't say whether that exceeds a group's maximum."""

import time
from collections.abc import Iterator
from functools import partial

from botsite import aws, roles
from deploy import background
from deploy.acceptance.context import Context
from deploy.acceptance.plan import PHOTO_EVERY_SECONDS
from deploy.acceptance.results import Measure, StepFailed
from deploy.acceptance.steps.photos import answers
from deploy.images import rollout
from deploy.loadtest.follow import Run
from metrics import cloudwatch
from metrics.health.findings import NotKnownHere

_BATCH, _TIMEOUT_SECONDS = 5, 15 * 60
_LOOK_SECONDS = 2.0


def under_load(run: Context) -> Iterator[Measure]:
    """Replace the sites and the metricStreamer by new machines of the same image, and answer everybody meanwhile."""
    # The workers' group may be empty: its machines are replaced by coming and going anyway.
    groups = [role.group(run.service) for role in roles.ROLES if role.always]
    before = {name: _machines(name) for name in groups}
    refreshing = background.start(partial(_replace, run, groups))
    shots: list[Run] = []
    offsets = [number * PHOTO_EVERY_SECONDS * _pace(run) for number in range(_BATCH)]
    while not shots or not refreshing.done():
        shots.append(run.camera.shoot(offsets, _TIMEOUT_SECONDS))
    yield from answers(run, *shots)
    measured = refreshing.result()
    if kept := [name for name in groups if _machines(name) & before[name]]:
        if aws.emulated():
            raise NotKnownHere("the local AWS replaces no machines; the photos were answered")
        raise StepFailed(f"{', '.join(kept)} still has machines from before its refresh")
    yield from measured


def _replace(run: Context, groups: list[str]) -> list[Measure]:
    return [measure for name in groups for measure in _refresh(run, name)]


def _refresh(run: Context, name: str) -> Iterator[Measure]:
    """Refresh one group; say how long it took, and how many machines there were at once."""
    began, most = time.monotonic(), 0
    if not (started := rollout.start(name, every=True)):
        raise StepFailed(f"{name} is being refreshed by somebody else")
    followed = background.start(partial(rollout.follow, name, started, run.say))
    while not followed.done():
        most = max(most, len(_machines(name)))
        aws.pause(_LOOK_SECONDS)
    followed.result()
    group = cloudwatch.groups(name)[name]
    yield Measure(f"refresh of {name}", time.monotonic() - began, "s")
    above = "above its maximum" if most > group.maximum else "never above its maximum"
    yield Measure(f"machines of {name} at once", most, "machines", f"wants {group.desired}, {above} of {group.maximum}")


def _machines(name: str) -> set[str]:
    group = cloudwatch.groups(name).get(name)
    return {one.id for one in group.instances} if group else set()


def _pace(run: Context) -> float:
    """Return how much faster photos come here than on AWS."""
    return run.place.interval / _LOOK_SECONDS
