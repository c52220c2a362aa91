"""The steps of a run, in order: each does one thing to the service, or looks at it, and yields what it measured.

They raise StepFailed, or NotKnownHere where this place can't tell.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from botsite import aws, roles
from botsite.bot.telegram.errors import TelegramError
from deploy import background, stacks
from deploy import teardown as removal
from deploy.acceptance import looks
from deploy.acceptance.photos import Rehearsal, alarms, answers, most, start
from deploy.acceptance.report import Measure, StepFailed
from deploy.cfn.cloudformation import Event
from deploy.images import ami, rollout
from deploy.loadtest.follow import LoadRun
from deploy.loadtest.gauges import Gauges
from deploy.webhook import bot
from metrics import cloudwatch, service
from metrics.health.findings import NotKnownHere

_FIRST_SECONDS, _BURST_SECONDS, _SCALE_IN_SECONDS = 20 * 60, 30 * 60, 60 * 60
# While machines are replaced: photos at once and the seconds between them on AWS, for their answers, between two looks.
_BATCH, _EVERY_SECONDS, _BATCH_SECONDS, _LOOK_SECONDS = 5, 2.0, 15 * 60, 2.0


def provision(run: Rehearsal) -> Iterator[Measure]:
    """Bring everything up, from nothing to sites that answer."""
    run.place.provision(run.order, run.say)
    if aws.emulated():
        yield Measure("bakes", None, note="the local AWS bakes no images")
    for role in roles.ROLES:
        if image := ami.newest(run.service, role.short):
            yield Measure(f"image of {role.short}", 1, "image", f"{image.id}, {image.version}")
    compared = stacks.find_drift(run.service, lambda event: run.say(f"{event.logical_id}: {event.reason}"))
    if compared.differences:
        raise StepFailed("; ".join(compared.differences))
    yield Measure("settings as the templates want them", compared.compared, "properties")
    yield Measure("kinds of resources that were not compared, or not in full", len(compared.skipped), "types")


def from_zero(run: Rehearsal) -> Iterator[Measure]:
    """Send a photo while no worker runs."""
    done = run.shoot([0.0], _FIRST_SECONDS)
    yield from alarms(done)
    yield from start(done, "boot")
    yield from answers(run, done)


def burst(run: Rehearsal) -> Iterator[Measure]:
    """Send many at once."""
    done = run.shoot([0.0] * run.options.photos, _BURST_SECONDS)
    yield from alarms(done)
    yield Measure("workers at most", most(done, lambda sample: sample.in_service), "machines")
    yield Measure("backlog at most", most(done, lambda sample: sample.backlog), "jobs")
    yield from answers(run, done)


def scale_in(run: Rehearsal) -> Iterator[Measure]:
    """Wait until the group is empty again."""
    gauges, began = Gauges(run.place.known), time.monotonic()
    give_up_at = began + min(_SCALE_IN_SECONDS, run.place.patience)
    wanted: float | None = None
    while time.monotonic() < give_up_at:
        now = gauges.read().numbers
        if now.get("desired") == 0:
            wanted = time.monotonic() - began if wanted is None else wanted
        if wanted is not None and not any(now.get(name) for name in ("in_service", "pending", "leaving")):
            yield Measure("nobody wanted", wanted, "s", "after the last answer")
            yield Measure("nobody there", time.monotonic() - began, "s", "after the last answer")
            return
        run.say(f"{now.get('in_service')} of {now.get('desired')} workers, for {time.monotonic() - began:.0f} s")
        time.sleep(run.place.interval)
    raise StepFailed("the workers are still there")


def again(run: Rehearsal) -> Iterator[Measure]:
    """Send another one after scale-in: a warm pool has machines for it by now."""
    done = run.shoot([0.0], _FIRST_SECONDS)
    pooled = run.options.parameters.get("WarmMachines", "0") != "0"
    if not pooled:
        yield Measure("resume from a warm pool", None, note="it is off; --parameter WarmMachines=1 turns it on")
    yield from start(done, "resume from a warm pool" if pooled else "boot")
    yield from answers(run, done)


def refresh(run: Rehearsal) -> Iterator[Measure]:
    """Replace machines under load: AWS's guide doesn't say whether that exceeds a group's maximum."""
    # The workers' group may be empty: its machines are replaced by coming and going anyway.
    groups = [role.group(run.service) for role in roles.ROLES if role.always]
    before = {name: _machines(name) for name in groups}
    refreshing = background.start(lambda: [measure for name in groups for measure in _refresh(run, name)])
    shots: list[LoadRun] = []
    offsets = [number * _EVERY_SECONDS * run.place.interval / _LOOK_SECONDS for number in range(_BATCH)]
    while not shots or not refreshing.done():
        shots.append(run.shoot(offsets, _BATCH_SECONDS))
    yield from answers(run, *shots)
    measured = refreshing.result()
    if kept := [name for name in groups if _machines(name) & before[name]]:
        if aws.emulated():
            raise NotKnownHere("the local AWS replaces no machines; the photos were answered")
        raise StepFailed(f"{', '.join(kept)} still has machines from before its refresh")
    yield from measured


def _refresh(run: Rehearsal, name: str) -> Iterator[Measure]:
    """Refresh one group; measure how long it took, and how many machines there were at once."""
    began, at_once = time.monotonic(), 0
    if not (started := rollout.start(name, every=True)):
        raise StepFailed(f"{name} is being refreshed by somebody else")
    followed = background.start(partial(rollout.follow, name, started, run.say))
    while not followed.done():
        at_once = max(at_once, len(_machines(name)))
        aws.pause(_LOOK_SECONDS)
    followed.result()
    group = cloudwatch.groups(name)[name]
    yield Measure(f"refresh of {name}", time.monotonic() - began, "s")
    above = "above its maximum" if at_once > group.maximum else "never above its maximum"
    note = f"wants {group.desired}, {above} of {group.maximum}"
    yield Measure(f"machines of {name} at once", at_once, "machines", note)


def _machines(name: str) -> set[str]:
    group = cloudwatch.groups(name).get(name)
    return {one.id for one in group.instances} if group else set()


def killed_worker(run: Rehearsal) -> Iterator[Measure]:
    """Kill a worker under a burst: what it had comes back to the queue, and everybody is answered once."""
    killed, at = "", 0.0

    def kill(over: threading.Event) -> None:
        nonlocal killed, at
        while not over.wait(0.05) and not killed:
            if service.queue().in_flight:
                killed, at = run.place.kill_worker(), time.time()

    shot = run.shoot([0.0] * run.options.photos, _BURST_SECONDS, kill)
    if not killed:
        raise StepFailed("no worker was killed: none had photos in work")
    after = [photo.delivered_at - at for photo in shot.photos if photo.delivered_at is not None]
    yield Measure("last answer after the kill", max(after, default=0.0), "s", f"of {killed}")
    tried = [photo.prediction.attempts for photo in shot.photos if photo.prediction]
    yield Measure("photos begun again", sum(one > 1 for one in tried), "photos")
    yield from answers(run, shot)


def teardown(run: Rehearsal) -> Iterator[Measure]:
    """Remove the webhook and the service, and ask AWS what is left."""
    try:
        bot.disconnect(run.service)
    except TelegramError as error:
        run.say(f"Telegram still has the webhook: {error}")

    def report(event: Event) -> None:
        run.say(f"{event.stack}: {event.logical_id} {event.status}")

    # Its certificate's record was made for the rehearsal alone.
    deleted = removal.delete(run.service, report, records=True)
    yield Measure("deleted", len(deleted), "stacks")
    run.say("asking AWS what is left")
    left = removal.leftovers(run.service)
    yield Measure("left behind", len(left), "resources")
    if left:
        raise StepFailed(f"delete by hand: {', '.join(left)}")


@dataclass(frozen=True)
class AcceptanceStep:
    """A step of a run; it makes sense if the steps it needs went well."""

    name: str
    title: str
    do: Callable[[Rehearsal], Iterator[Measure]]
    needs: tuple[str, ...] = ("provision",)


_WORKERS = ("provision", "from-zero")
STEPS = (
    AcceptanceStep("provision", "provision", provision, needs=()),
    AcceptanceStep("from-zero", "a photo, from zero workers", from_zero),
    AcceptanceStep("burst", "a burst of photos", burst, _WORKERS),
    AcceptanceStep("memory", "memory of a busy worker", looks.memory, _WORKERS),
    AcceptanceStep("scale-in", "scale-in to zero", scale_in, _WORKERS),
    AcceptanceStep("again", "a photo, from zero again", again, (*_WORKERS, "scale-in")),
    AcceptanceStep("refresh", "instance refresh under load", refresh, _WORKERS),
    AcceptanceStep("killed-worker", "a worker is killed", killed_worker, _WORKERS),
    AcceptanceStep("chart", "the ops page's chart of 3 hours", looks.chart),
    AcceptanceStep("events", "metrics from log lines (EMF)", looks.events, _WORKERS),
    AcceptanceStep("doctor", "doctor", looks.doctor),
    AcceptanceStep("logs", "logs", looks.logs),
    AcceptanceStep("cost", "cost", looks.cost),
)
TEARDOWN = AcceptanceStep("teardown", "teardown", teardown, needs=())
NAMES = tuple(step.name for step in STEPS)
